/* Fetching what guard/follow.h asks for. */
#include "sidecar/issuer.h"

bool dep_issuer_init(struct dep_issuer *issuer, const struct dep_sidecar_config *config, int stop_fd)
{
    *issuer = (struct dep_issuer){ .config = config };
    issuer->fetcher = dep_fetcher_new(stop_fd);
    issuer->crypto = dep_crypto_new();
    return issuer->fetcher != NULL && issuer->crypto != NULL;
}

void dep_issuer_done(struct dep_issuer *issuer)
{
    if (issuer->fetcher != NULL)
        dep_fetcher_free(issuer->fetcher);
    if (issuer->crypto != NULL)
        dep_crypto_free(issuer->crypto);
}

struct dep_follow_answer dep_issuer_get(struct dep_issuer *issuer, const struct dep_follow_fetch *fetch,
                                        struct dep_fetch_answer *ret_answer)
{
    const struct dep_fetch_policy policy = {
        .may_loopback = issuer->config->may_loopback,
        .may_private = issuer->config->may_private,
        .body_bytes_max = fetch->body_bytes_max,
        .timeout_ms = fetch->timeout_ms,
    };
    const struct dep_header headers[] = { { DEP_STR("Accept"), fetch->accept },
                                          { DEP_STR("Authorization"), fetch->authorization } };
    const struct dep_fetch_request request = { .url = fetch->url,
                                               .headers = headers,
                                               .headers_count = dep_str_is_absent(fetch->authorization) ? 1 : 2 };
    struct dep_res res;

    *ret_answer = (struct dep_fetch_answer){ 0 };
    res = dep_fetch(issuer->fetcher, &policy, &request, ret_answer);
    return (struct dep_follow_answer){ res, ret_answer->status, ret_answer->body };
}

struct dep_follow_policy dep_sidecar_follow_policy(const struct dep_sidecar_config *config)
{
    return (struct dep_follow_policy){
        .issuer = config->issuer,
        .keys_refresh_s = config->keys_refresh_s,
        .keys_throttle_s = config->keys_throttle_s,
        .keys_stale_max_s = config->keys_stale_max_s,
        .skew_s = config->skew_s,
        .feed_silence_max_s = config->feed_silence_max_s,
    };
}
