/* Fetching what the issuer publishes. Addresses come from the configuration and from metadata that names the configured
 * issuer; nothing that a token says leads to a connection (attack cases A26, A32). */
#include "sidecar/issuer.h"

#include <stdlib.h>

#include "base/url.h"

#define TIMEOUT_MS 2000

bool dep_issuer_init(struct dep_issuer *issuer, const struct dep_sidecar_config *config, int stop_fd,
                     size_t arena_bytes)
{
    *issuer = (struct dep_issuer){ .config = config };
    issuer->fetcher = dep_fetcher_new(stop_fd);
    issuer->crypto = dep_crypto_new();
    issuer->memory = calloc(1, arena_bytes);
    dep_arena_init_zero(&issuer->arena, issuer->memory, issuer->memory == NULL ? 0 : arena_bytes);
    return issuer->fetcher != NULL && issuer->crypto != NULL && issuer->memory != NULL;
}

void dep_issuer_done(struct dep_issuer *issuer)
{
    if (issuer->fetcher != NULL)
        dep_fetcher_free(issuer->fetcher);
    if (issuer->crypto != NULL)
        dep_crypto_free(issuer->crypto);
    free(issuer->memory);
}

struct dep_res dep_issuer_metadata_url(struct dep_arena *arena, struct dep_str issuer, struct dep_str *ret_url)
{
    struct dep_url url;
    struct dep_buf buf;

    DEP_TRY(dep_url_parse(issuer, &url));
    if (!dep_str_is_absent(url.query) || !dep_str_is_absent(url.fragment) || !dep_str_is_absent(url.userinfo))
        return DEP_FAIL(URL_SYNTAX);
    dep_buf_init_arena(&buf, arena, issuer.len + 64);
    dep_buf_put(&buf, dep_str_sub(issuer, 0, issuer.len - url.path.len));
    dep_buf_put_c(&buf, "/.well-known/oauth-authorization-server");
    if (!dep_str_eq(url.path, DEP_STR("/")))
        dep_buf_put(&buf, url.path);
    if (buf.has_failed)
        return DEP_FAIL(ARENA_FULL);
    *ret_url = dep_buf_str(&buf);
    return DEP_OK;
}

static struct dep_res get(struct dep_issuer *issuer, struct dep_str url, struct dep_fetch_answer *ret_answer)
{
    const struct dep_fetch_policy policy = {
        .may_loopback = issuer->config->may_loopback,
        .may_private = issuer->config->may_private,
        .body_bytes_max = DEP_ISSUER_DOCUMENT_MAX,
        .timeout_ms = TIMEOUT_MS,
    };
    const struct dep_header accept = { DEP_STR("Accept"), DEP_STR("application/json") };
    const struct dep_fetch_request request = { .url = url, .headers = &accept, .headers_count = 1 };

    DEP_TRY(dep_fetch(issuer->fetcher, &policy, &request, ret_answer));
    if (ret_answer->status == 200)
        return DEP_OK;
    dep_fetch_answer_done(ret_answer);
    return DEP_FAIL(NET_FETCH_STATUS);
}

static struct dep_res read_metadata(struct dep_issuer *issuer, struct dep_str text, struct dep_str *ret_url)
{
    struct dep_json *json = NULL;
    struct dep_str name, url;

    if (!dep_is_ok(dep_json_parse_max(&issuer->arena, text, DEP_JSON_DEPTH_MAX, DEP_ISSUER_DOCUMENT_MAX, &json)) ||
        !dep_is_ok(dep_json_str(DEP_JSON_GET(json, "issuer"), &name)) || !dep_str_eq(name, issuer->config->issuer) ||
        !dep_is_ok(dep_json_str(DEP_JSON_GET(json, "jwks_uri"), &url)))
        return DEP_FAIL(METADATA_SYNTAX);
    url = dep_arena_dup(&issuer->arena, url); /* the body goes away */
    if (dep_str_is_absent(url))
        return DEP_FAIL(ARENA_FULL);
    *ret_url = url;
    return DEP_OK;
}

struct dep_res dep_issuer_keys_url(struct dep_issuer *issuer, struct dep_str *ret_url)
{
    struct dep_fetch_answer answer;
    struct dep_str url;
    struct dep_res res;

    dep_arena_reset(&issuer->arena);
    DEP_TRY(dep_issuer_metadata_url(&issuer->arena, issuer->config->issuer, &url));
    DEP_TRY(get(issuer, url, &answer));
    res = read_metadata(issuer, answer.body, ret_url);
    dep_fetch_answer_done(&answer);
    return res;
}

struct dep_res dep_issuer_keys(struct dep_issuer *issuer, const char *url, struct dep_jwks **ret_jwks,
                               unsigned char ret_digest[DEP_SHA256_LEN])
{
    struct dep_fetch_answer answer;
    struct dep_res res;

    dep_arena_reset(&issuer->arena);
    DEP_TRY(get(issuer, dep_str_c(url), &answer));
    res = dep_jwks_new(issuer->crypto, answer.body, ret_jwks);
    if (dep_is_ok(res))
        dep_sha256(issuer->crypto, answer.body, ret_digest);
    dep_fetch_answer_done(&answer);
    return res;
}
