/* Looking up an issuer's keys, a document at a time. */
#include "server/lookup.h"

#include "base/json.h"
#include "base/url.h"

#define FETCH_TIMEOUT_MS 3000

/* OpenID Connect appends the well-known name to the issuer, RFC 8414 puts it in front of the issuer's path. */
static struct dep_str metadata_url(struct dep_arena *arena, struct dep_str issuer, bool is_openid)
{
    struct dep_url url;
    struct dep_buf buf;

    if (!dep_is_ok(dep_url_parse(issuer, &url)))
        return DEP_STR_ABSENT;
    dep_buf_init_arena(&buf, arena, issuer.len + 64);
    if (is_openid) {
        /* The issuer may end with a slash (OpenID Connect Discovery section 4.1). */
        dep_buf_put(&buf, dep_str_ends(issuer, DEP_STR("/")) ? dep_str_sub(issuer, 0, issuer.len - 1) : issuer);
        dep_buf_put_c(&buf, "/.well-known/openid-configuration");
    } else {
        dep_buf_put(&buf, dep_str_sub(issuer, 0, issuer.len - url.path.len));
        dep_buf_put_c(&buf, "/.well-known/oauth-authorization-server");
        dep_buf_put(&buf, dep_str_eq(url.path, DEP_STR("/")) ? DEP_STR("") : url.path);
    }
    return dep_buf_str(&buf);
}

/* False when not even that can be begun. */
static bool fetch(struct dep_lookup *lookup, struct dep_lookup_tools *tools, struct dep_str url, int64_t now_ms)
{
    int64_t left_ms = lookup->deadline_ms - now_ms;
    const struct dep_fetch_policy policy = {
        .may_loopback = tools->may_loopback,
        .body_bytes_max = DEP_JWKS_BYTES_MAX,
        .timeout_ms = left_ms < FETCH_TIMEOUT_MS ? left_ms : FETCH_TIMEOUT_MS,
        .ca_file = tools->ca_file,
    };

    return left_ms > 0 && dep_is_ok(dep_fetch_begin(tools->fetcher, &policy, &(struct dep_fetch_request){ .url = url },
                                                    &lookup->transfer));
}

/* Metadata whose issuer is not the one that was asked is nobody's (rfc8414#3.3). */
static struct dep_res read_metadata(struct dep_lookup_tools *tools, struct dep_str issuer, struct dep_str body,
                                    struct dep_str *ret_url)
{
    struct dep_json *json;
    struct dep_str name;

    DEP_TRY(dep_json_parse(&tools->arena, body, 16, &json));
    DEP_TRY(dep_json_str(DEP_JSON_GET(json, "issuer"), &name));
    if (!dep_str_eq(name, issuer))
        return DEP_FAIL(JWT_ISS);
    return dep_json_str(DEP_JSON_GET(json, "jwks_uri"), ret_url);
}

/* One form of metadata after the other, until a fetch is under way. */
static void discover(struct dep_lookup *lookup, struct dep_lookup_tools *tools, struct dep_str issuer, int64_t now_ms)
{
    while (lookup->step < DEP_LOOKUP_KEYS &&
           !fetch(lookup, tools, metadata_url(&tools->arena, issuer, lookup->step == DEP_LOOKUP_OPENID), now_ms))
        lookup->step++;
}

void dep_lookup_begin(struct dep_lookup *lookup, struct dep_lookup_tools *tools, struct dep_str issuer,
                      struct dep_str jwks_uri, int64_t now_ms)
{
    *lookup = (struct dep_lookup){ .deadline_ms = now_ms + DEP_LOOKUP_TIMEOUT_MS };
    if (dep_str_is_absent(jwks_uri)) {
        discover(lookup, tools, issuer, now_ms);
    } else {
        lookup->step = DEP_LOOKUP_KEYS;
        (void)fetch(lookup, tools, jwks_uri, now_ms);
    }
    dep_arena_reset(&tools->arena);
}

/* What the document that has come leads to. */
static void take(struct dep_lookup *lookup, struct dep_lookup_tools *tools, struct dep_str issuer, struct dep_str body,
                 int64_t now_ms)
{
    struct dep_str url;

    if (lookup->step == DEP_LOOKUP_KEYS) {
        if (!dep_is_ok(dep_jwks_new(tools->crypto, body, &lookup->set)))
            lookup->set = NULL;
        return;
    }
    if (dep_is_ok(read_metadata(tools, issuer, body, &url))) {
        lookup->step = DEP_LOOKUP_KEYS;
        (void)fetch(lookup, tools, url, now_ms);
        return;
    }
    lookup->step++;
    discover(lookup, tools, issuer, now_ms);
}

void dep_lookup_next(struct dep_lookup *lookup, struct dep_lookup_tools *tools, struct dep_str issuer, int64_t now_ms)
{
    struct dep_fetch_answer answer = { 0 };
    struct dep_res res = dep_fetch_end(lookup->transfer, &answer);

    lookup->transfer = NULL;
    if (dep_is_ok(res) && answer.status == 200) {
        take(lookup, tools, issuer, answer.body, now_ms);
    } else if (lookup->step < DEP_LOOKUP_KEYS) {
        lookup->step++;
        discover(lookup, tools, issuer, now_ms);
    }
    if (dep_is_ok(res))
        dep_fetch_answer_done(&answer);
    dep_arena_reset(&tools->arena);
}

void dep_lookup_cancel(struct dep_lookup *lookup)
{
    struct dep_fetch_answer answer = { 0 };

    if (lookup->transfer != NULL && dep_is_ok(dep_fetch_end(lookup->transfer, &answer)))
        dep_fetch_answer_done(&answer);
    lookup->transfer = NULL;
}
