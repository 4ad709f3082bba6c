/* For tests: an issuer with one key, a client with a DPoP key, and requests put through dep_guard_decide() with a fixed
 * clock. */
#ifndef DEP_GUARD_GUARD_FIXTURE_H
#define DEP_GUARD_GUARD_FIXTURE_H

#include <stdlib.h>

#include "base/b64.h"
#include "guard/answer.h"
#include "guard/guard.h"
#include "guard/seen.h"
#include "test/unit.h"

#define NOW INT64_C(1800000000)
#define RESOURCE "https://api.example/mcp"
#define HEADER "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}"
#define CNF_ROOM 128

struct fixture {
    struct dep_arena arena;
    struct dep_crypto *crypto;
    struct dep_private_key *issuer, *client, *stranger;
    struct dep_str jkt; /* of the client's key */
    struct dep_jwks *jwks;
    struct dep_revocations *revocations;
    struct dep_guard_seen *seen; /* NULL: no cache */
    struct dep_nonce_policy nonce;
    struct dep_guard_policy policy;
    struct dep_guard_facts facts;
    int64_t now;
    struct dep_str body;        /* of the next requests; absent: out of sight */
    struct dep_str certificate; /* the same, of the client's TLS connection; absent: it came without */
    unsigned char random[DEP_ULID_RANDOM];
    struct dep_guard_decision decision;
};

/* Like printf; without the attribute, because the sanitizers take every slice for one that may be absent. */
__attribute__((nonnull, noinline, unused)) static struct dep_str fmt(struct fixture *f, const char *format, ...)
{
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);

    char *text = dep_arena_alloc(&f->arena, (size_t)len + 1);

    DEP_ASSERT(text != NULL);
    va_start(arguments, format);
    (void)vsnprintf(text, (size_t)len + 1, format, arguments);
    va_end(arguments);
    return dep_str(text, (size_t)len);
}

/* header.payload.signature, whatever the first two say. */
static inline struct dep_str sign_raw(struct fixture *f, const struct dep_private_key *key, struct dep_str header,
                                      struct dep_str payload)
{
    unsigned char signature[DEP_SIGNATURE_MAX];
    struct dep_buf buf;
    size_t len = 0;

    dep_buf_init_arena(&buf, &f->arena, DEP_B64_ENCODED(header.len) + DEP_B64_ENCODED(payload.len) + 1024);
    dep_b64url_put(&buf, header.ptr, header.len);
    dep_buf_put_char(&buf, '.');
    dep_b64url_put(&buf, payload.ptr, payload.len);
    DEP_ASSERT(dep_is_ok(dep_sign(f->crypto, key, dep_buf_str(&buf), signature, &len)));
    dep_buf_put_char(&buf, '.');
    dep_b64url_put(&buf, signature, len);
    DEP_ASSERT(!buf.has_failed);
    return dep_buf_str(&buf);
}

/* An answer of the revocation feed. */
static inline struct dep_str sign_feed(struct fixture *f, const struct dep_private_key *key, const char *kid,
                                       struct dep_str payload)
{
    return sign_raw(f, key, fmt(f, "{\"alg\":\"ES256\",\"typ\":\"revocations+jwt\",\"kid\":\"%s\"}", kid), payload);
}

/* The claims of a good bearer token, without braces, so that more can stand behind. */
static inline struct dep_str claims_of(struct fixture *f)
{
    return fmt(f,
               "\"iss\":\"https://as.example\",\"sub\":\"agent:A\",\"aud\":\"" RESOURCE
               "\",\"client_id\":\"C\",\"iat\":%lld,"
               "\"exp\":%lld,\"jti\":\"J1\",\"scope\":\"read write\"",
               (long long)NOW - 10, (long long)NOW + 290);
}

static inline struct dep_str token_with(struct fixture *f, const char *more)
{
    return sign_raw(f, f->issuer, DEP_STR(HEADER), fmt(f, "{%.*s%s}", DEP_STR_ARG(claims_of(f)), more));
}

static inline struct dep_str bearer_token(struct fixture *f)
{
    return token_with(f, "");
}

static inline struct dep_str bound_token(struct fixture *f)
{
    return token_with(f, fmt(f, ",\"cnf\":{\"jkt\":\"%.*s\"}", DEP_STR_ARG(f->jkt)).ptr);
}

/* A token that is bound to a certificate. */
static inline struct dep_str certificate_token(struct fixture *f, struct dep_str der)
{
    unsigned char digest[DEP_SHA256_LEN];
    struct dep_buf x5t;

    dep_sha256(f->crypto, der, digest);
    dep_buf_init_arena(&x5t, &f->arena, DEP_B64_ENCODED(sizeof(digest)));
    dep_b64url_put(&x5t, digest, sizeof(digest));
    return token_with(f, fmt(f, ",\"cnf\":{\"x5t#S256\":\"%.*s\"}", DEP_STR_ARG(dep_buf_str(&x5t))).ptr);
}

static inline struct dep_str proof_for(struct fixture *f, const struct dep_private_key *key, const char *method,
                                       const char *url, struct dep_str token, struct dep_str nonce, int64_t iat)
{
    static unsigned char random[16];
    struct dep_str proof;

    random[0]++;
    random[1] = (unsigned char)(random[1] + (random[0] == 0));
    DEP_ASSERT(dep_is_ok(dep_dpop_sign(&f->arena, f->crypto, key, dep_str_c(method), dep_str_c(url), token, nonce, iat,
                                       random, &proof)));
    return proof;
}

static inline struct dep_str good_proof(struct fixture *f, struct dep_str token)
{
    return proof_for(f, f->client, "POST", RESOURCE, token, DEP_STR_ABSENT, NOW);
}

/* Decides, with the cache when there is one, until nothing is needed. */
static inline void decide(struct fixture *f, enum dep_guard_adapter adapter, const struct dep_header *headers,
                          size_t count)
{
    const struct dep_guard_request request = {
        .adapter = adapter, .headers = headers, .headers_count = count, .body = f->body, .certificate = f->certificate
    };
    struct dep_guard_facts facts = f->facts;

    for (unsigned round = 0; round < 4; round++) {
        dep_guard_decide(&f->arena, f->crypto, &f->policy, &request, &facts, f->now, f->random, &f->decision);
        if ((f->decision.needs & DEP_GUARD_NEEDS_KEYS) != 0)
            facts.may_refresh_keys = false;
        if ((f->decision.needs & DEP_GUARD_NEEDS_SEEN) != 0) {
            facts.seen_for = f->decision.presented;
            dep_sha256(f->crypto, facts.seen_for, facts.seen_digest);
            if (f->seen != NULL)
                facts.seen = dep_guard_seen_find(f->seen, facts.seen_digest, 1, f->now);
        }
        if (f->decision.needs == 0)
            break;
    }
    if (f->seen != NULL && (f->decision.effects & DEP_GUARD_EFFECT_KEEP_TOKEN) != 0)
        dep_guard_seen_put(f->seen, f->decision.token_digest, 1, f->now, f->decision.token);
}

/* A POST to the resource through nginx. Absent values are headers that are not sent. */
static inline void ask(struct fixture *f, struct dep_str authorization, struct dep_str proof)
{
    struct dep_header headers[4] = {
        { DEP_STR("X-Original-Method"), DEP_STR("POST") },
        { DEP_STR("X-Original-URL"), DEP_STR("https://evil.example/mcp?x=1") },
    };
    size_t count = 2;

    if (!dep_str_is_absent(authorization))
        headers[count++] = (struct dep_header){ DEP_STR("Authorization"), authorization };
    if (!dep_str_is_absent(proof))
        headers[count++] = (struct dep_header){ DEP_STR("DPoP"), proof };
    decide(f, DEP_GUARD_AUTH_REQUEST, headers, count);
}

static inline void ask_bearer(struct fixture *f, struct dep_str token)
{
    ask(f, fmt(f, "Bearer %.*s", DEP_STR_ARG(token)), DEP_STR_ABSENT);
}

static inline void ask_dpop(struct fixture *f, struct dep_str token, struct dep_str proof)
{
    ask(f, fmt(f, "DPoP %.*s", DEP_STR_ARG(token)), proof);
}

static inline bool str_has(struct dep_str text, const char *part)
{
    size_t len = strlen(part);

    for (size_t i = 0; i + len <= text.len; i++)
        if (memcmp(text.ptr + i, part, len) == 0)
            return true;
    return false;
}

static inline void check_refused(struct dep_test *t, const struct fixture *f, const char *what, int status,
                                 const char *error)
{
    dep_test_check(t, !f->decision.is_allowed && f->decision.status == status && dep_str_eq_c(f->decision.error, error),
                   __FILE__, __LINE__, "%s: allowed %d, %d %.*s (%s), not %d %s", what, f->decision.is_allowed,
                   f->decision.status, DEP_STR_ARG(f->decision.error), dep_err_name(f->decision.reason), status,
                   error == NULL ? "" : error);
}

static inline void check_allowed(struct dep_test *t, const struct fixture *f, const char *what)
{
    dep_test_check(t, f->decision.is_allowed && f->decision.status == 200, __FILE__, __LINE__, "%s: %d %s at %s", what,
                   f->decision.status, dep_err_name(f->decision.reason),
                   f->decision.check == NULL ? "" : f->decision.check);
}

static inline struct dep_jwks *jwks_of(struct fixture *f, const struct dep_private_key *key, struct dep_str kid)
{
    struct dep_json_writer writer;
    struct dep_jwks *jwks = NULL;
    struct dep_buf buf;

    dep_buf_init_arena(&buf, &f->arena, 4096);
    dep_json_begin(&writer, &buf);
    dep_json_open(&writer, '{');
    dep_json_name(&writer, "keys");
    dep_json_open(&writer, '[');
    DEP_ASSERT(dep_is_ok(dep_jwk_put_public(&writer, &f->arena, key, kid)));
    dep_json_close(&writer, ']');
    dep_json_close(&writer, '}');
    DEP_ASSERT(dep_is_ok(dep_jwks_new(f->crypto, dep_buf_str(&buf), &jwks)));
    return jwks;
}

static inline void set_up(struct fixture *f)
{
    *f = (struct fixture){ .now = NOW };
    dep_arena_init_debug(&f->arena, 64u << 20);
    f->crypto = dep_crypto_new();
    DEP_ASSERT(f->crypto != NULL);
    DEP_ASSERT(dep_is_ok(dep_private_key_new(DEP_ALG_ES256, &f->issuer)));
    DEP_ASSERT(dep_is_ok(dep_private_key_new(DEP_ALG_ES256, &f->client)));
    DEP_ASSERT(dep_is_ok(dep_private_key_new(DEP_ALG_ES256, &f->stranger)));
    DEP_ASSERT(dep_is_ok(dep_jwk_jkt_of(&f->arena, f->crypto, f->client, &f->jkt)));
    f->jwks = jwks_of(f, f->issuer, DEP_STR("k1"));
    f->revocations = dep_revocations_new(8);
    f->nonce = (struct dep_nonce_policy){ dep_secret("0123456789abcdef0123456789abcdef", 32), DEP_STR(RESOURCE), 60 };
    f->policy = (struct dep_guard_policy){
        .origin = DEP_STR("https://api.example"),
        .resource_metadata = DEP_STR("https://api.example/.well-known/oauth-protected-resource/mcp"),
        .scopes = DEP_STR("read"),
        .token = { DEP_STR("https://as.example"), DEP_STR(RESOURCE), DEP_ALGS_ALL, 10 },
        .dpop = { .age_max_s = 60, .skew_s = 10, .nonce = &f->nonce },
        .feed_silence_max_s = 10,
    };
    f->facts = (struct dep_guard_facts){ .keys = f->jwks, .revocations = f->revocations };
}

static inline void tear_down(struct fixture *f)
{
    dep_guard_seen_free(f->seen);
    dep_revocations_free(f->revocations);
    dep_jwks_free(f->jwks);
    dep_private_key_free(f->issuer);
    dep_private_key_free(f->client);
    dep_private_key_free(f->stranger);
    dep_crypto_free(f->crypto);
    dep_arena_reset(&f->arena);
}

#endif
