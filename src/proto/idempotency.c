/* The rules of writes that happen once (draft-ietf-httpapi-idempotency-key-header-07 section 2).
 *
 * Invariants:
 *  (1) Nothing runs twice: only an entry that this very request has made says RUN.
 *  (2) A key belongs to realm, tenant, principal, client and chain; the same key of anybody else is another entry.
 *  (3) Within that, the first use binds the key to method, target, media type and body; anything else is refused (section 2.7).
 *  (4) Each text that goes into a digest has its length in front, so no two requests read the same. */
#include "proto/idempotency.h"

#include <string.h>

#include "base/num.h"
#include "http/item.h"

#define RETENTION_S 86400
#define IN_FLIGHT_MAX_S 900
/* Of the same parameter in one form; more, and the form is taken as it stands. */
#define ASSERTIONS_MAX 8u

struct dep_idempotency_policy dep_idempotency_policy_default(void)
{
    return (struct dep_idempotency_policy){ .retention_s = RETENTION_S, .in_flight_max_s = IN_FLIGHT_MAX_S };
}

/* What clients send that do not know of structured fields: visible characters, none that a String or a list is made of. */
static bool is_bare(struct dep_str value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] <= ' ' || value.ptr[i] > '~' || dep_str_has(DEP_STR("\"\\,;"), value.ptr[i]))
            return false;
    return value.len > 0;
}

struct dep_res dep_idempotency_key(struct dep_arena *arena, const struct dep_idempotency_policy *policy,
                                   const struct dep_header *headers, size_t headers_count, struct dep_str *ret_key)
{
    struct dep_str value, key = DEP_STR_ABSENT;
    struct dep_res res;

    DEP_TRY(dep_header_one(headers, headers_count, DEP_IDEMPOTENCY_HEADER, &value));
    if (dep_str_is_absent(value)) {
        if (policy->is_required)
            return DEP_FAIL(IDEMPOTENCY_MISSING);
        *ret_key = DEP_STR_ABSENT;
        return DEP_OK;
    }
    res = dep_item_string(arena, value, &key);
    if (res.err == DEP_ERR_HTTP_ITEM && policy->is_lenient && is_bare(dep_str_trim(value)))
        key = dep_str_trim(value);
    else if (res.err == DEP_ERR_HTTP_ITEM)
        return DEP_FAIL(IDEMPOTENCY_SYNTAX);
    else
        DEP_TRY(res);
    if (key.len == 0 || key.len > DEP_IDEMPOTENCY_KEY_MAX)
        return DEP_FAIL(IDEMPOTENCY_SYNTAX);
    *ret_key = key;
    return DEP_OK;
}

/* Texts with their lengths in front. An absent one has a length that none can have. */
#define PARTS_MAX 16u

struct digest {
    uint64_t lengths[PARTS_MAX];
    struct dep_str parts[2 * PARTS_MAX];
    size_t count;
};

static void digest_put(struct digest *digest, struct dep_str text)
{
    size_t at = digest->count / 2;

    DEP_ASSERT(at < PARTS_MAX);
    digest->lengths[at] = dep_str_is_absent(text) ? UINT64_MAX : text.len;
    digest->parts[digest->count++] = dep_str((const char *)&digest->lengths[at], sizeof(digest->lengths[at]));
    digest->parts[digest->count++] = dep_str_is_absent(text) ? DEP_STR("") : text;
}

static void digest_end(struct dep_crypto *crypto, const struct digest *digest,
                       unsigned char ret_name[DEP_IDEMPOTENCY_NAME_LEN])
{
    dep_sha256_parts(crypto, digest->parts, digest->count, ret_name);
}

/* Whether a form's pair is a client_assertion, in whatever way its name is encoded. */
static bool is_assertion(struct dep_str pair)
{
    const struct dep_str name = DEP_STR("client_assertion");
    size_t at = 0, read = 0;

    while (at < name.len && read < pair.len) {
        char c = pair.ptr[read++];

        if (c == '%' && pair.len - read >= 2) {
            int high = dep_hex_digit(pair.ptr[read]), low = dep_hex_digit(pair.ptr[read + 1]);

            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            read += 2;
        }
        if (c != name.ptr[at++])
            return false;
    }
    return at == name.len && (read == pair.len || pair.ptr[read] == '=');
}

/* A retry signs a new client assertion (rfc7523#3): the body without it, in pieces that each end where the next begins. */
static size_t cut_assertions(struct dep_str body, struct dep_str ret_pieces[ASSERTIONS_MAX + 1])
{
    struct dep_str rest = body, pair;
    const char *from = body.ptr;
    size_t count = 0;

    while (dep_str_cut(&rest, '&', &pair)) {
        if (!is_assertion(pair))
            continue;
        if (count == ASSERTIONS_MAX) {
            ret_pieces[0] = body;
            return 1;
        }
        ret_pieces[count++] = dep_str(from, (size_t)(pair.ptr - from));
        from = dep_str_is_absent(rest) ? body.ptr + body.len : rest.ptr;
    }
    ret_pieces[count++] = dep_str(from, (size_t)(body.ptr + body.len - from));
    return count;
}

static void hash_body(struct dep_crypto *crypto, const struct dep_idempotency_request *request,
                      unsigned char ret_digest[DEP_SHA256_LEN])
{
    struct dep_str pieces[ASSERTIONS_MAX + 1] = { dep_str_is_absent(request->body) ? DEP_STR("") : request->body };
    size_t count = 1;

    if (!dep_str_is_absent(request->content_type) &&
        dep_media_type_is(request->content_type, DEP_STR("application/x-www-form-urlencoded")))
        count = cut_assertions(pieces[0], pieces);
    dep_sha256_parts(crypto, pieces, count, ret_digest);
}

static void put_caller(struct digest *digest, struct dep_str label, const struct dep_idempotency_request *request)
{
    digest_put(digest, label);
    digest_put(digest, request->realm);
    digest_put(digest, request->tenant);
    digest_put(digest, request->principal);
    digest_put(digest, request->client);
    digest_put(digest, request->chain);
}

struct dep_res dep_idempotency_name(struct dep_crypto *crypto, const struct dep_idempotency_policy *policy,
                                    const struct dep_idempotency_request *request,
                                    struct dep_idempotency_names *ret_names)
{
    struct digest caller = { .count = 0 }, scope = caller, seal = caller, fingerprint = caller;
    unsigned char body[DEP_SHA256_LEN];

    if (dep_str_is_blank(request->realm) || dep_str_is_blank(request->principal))
        return DEP_FAIL(IDEMPOTENCY_CALLER);
    DEP_ASSERT(request->key.len > 0 && request->key.len <= DEP_IDEMPOTENCY_KEY_MAX);
    put_caller(&caller, DEP_STR("deputy idempotency caller 1"), request);
    digest_end(crypto, &caller, ret_names->caller);
    put_caller(&scope, DEP_STR("deputy idempotency scope 1"), request);
    digest_put(&scope, request->key);
    digest_end(crypto, &scope, ret_names->scope);

    /* Who has only the ledger knows no key, and with that no seal. A guess of a poor key is worth nothing without the secret. */
    put_caller(&seal, DEP_STR("deputy idempotency seal 1"), request);
    digest_put(&seal, request->key);
    digest_put(&seal, dep_str((const char *)policy->secret.bytes, policy->secret.len));
    digest_end(crypto, &seal, ret_names->seal);

    hash_body(crypto, request, body);
    digest_put(&fingerprint, DEP_STR("deputy idempotency fingerprint 1"));
    digest_put(&fingerprint, request->method);
    digest_put(&fingerprint, request->target);
    digest_put(&fingerprint, request->content_type);
    digest_put(&fingerprint, dep_str((const char *)body, sizeof(body)));
    digest_end(crypto, &fingerprint, ret_names->fingerprint);
    return DEP_OK;
}

static struct dep_idempotency_decision refuse(enum dep_err reason)
{
    return (struct dep_idempotency_decision){ DEP_IDEMPOTENCY_REFUSE, reason };
}

struct dep_idempotency_decision dep_idempotency_decide(const struct dep_idempotency_policy *policy,
                                                       const struct dep_idempotency_names *names,
                                                       const struct dep_idempotency_entry *entry, int64_t now)
{
    if (entry->state == DEP_IDEMPOTENCY_NEW)
        return (struct dep_idempotency_decision){ DEP_IDEMPOTENCY_RUN, DEP_ERR_NONE };
    /* Before all else: another request learns nothing of how this one went. */
    if (memcmp(entry->fingerprint, names->fingerprint, sizeof(entry->fingerprint)) != 0)
        return refuse(DEP_ERR_IDEMPOTENCY_REUSED);
    if (entry->state == DEP_IDEMPOTENCY_DONE && dep_str_is_absent(entry->answer))
        return refuse(DEP_ERR_IDEMPOTENCY_NOT_KEPT);
    if (entry->state == DEP_IDEMPOTENCY_DONE)
        return (struct dep_idempotency_decision){ DEP_IDEMPOTENCY_REPLAY, DEP_ERR_NONE };
    if (entry->state == DEP_IDEMPOTENCY_LOST || !entry->is_owner_alive || now - entry->begun > policy->in_flight_max_s)
        return refuse(DEP_ERR_IDEMPOTENCY_UNKNOWN);
    return refuse(DEP_ERR_IDEMPOTENCY_IN_FLIGHT);
}
