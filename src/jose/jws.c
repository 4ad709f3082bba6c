/* Compact JWS: taking it apart, verifying, signing (RFC 7515 sections 3.1, 5; RFC 8725 and its revision).
 *
 * The order of the checks is in jws.h. Nothing from the header is trusted but as a name to look up. */
#include "jose/jws.h"

#include <string.h>

#include "base/b64.h"
#include "jose/text.h"

#define HEADER_DEPTH_MAX 8u
#define HEADER_BYTES_MAX 4096u

/* Exactly two dots, with something before and between them. Three look-ups, however many dots there are (A19). */
static struct dep_res split(struct dep_str token, struct dep_str *ret_header, struct dep_str *ret_payload,
                            struct dep_str *ret_signature)
{
    size_t first = dep_str_find(token, '.');
    struct dep_str rest = dep_str_sub(token, first + 1, token.len);
    size_t second = dep_str_find(rest, '.');

    if (first == 0 || first >= token.len || second == 0 || second >= rest.len)
        return DEP_FAIL(JWS_SEGMENTS);

    struct dep_str last = dep_str_sub(rest, second + 1, rest.len);

    if (dep_str_has(last, '.'))
        return DEP_FAIL(JWS_SEGMENTS);
    *ret_header = dep_str_sub(token, 0, first);
    *ret_payload = dep_str_sub(rest, 0, second);
    *ret_signature = last;
    return DEP_OK;
}

/* rfc7515#4.1.9: a missing "application/" is implied; media types are compared without case. */
static struct dep_res check_typ(const struct dep_json *header, const struct dep_jws_rules *rules,
                                struct dep_str *ret_typ)
{
    const struct dep_json *member = DEP_JSON_GET(header, "typ");
    const struct dep_str prefix = DEP_STR("application/");
    struct dep_str typ;

    if (member == NULL) {
        *ret_typ = DEP_STR_ABSENT;
        return rules->may_lack_typ ? DEP_OK : DEP_FAIL(JWS_TYP);
    }
    if (!dep_is_ok(dep_json_str(member, &typ)))
        return DEP_FAIL(JWS_TYP);
    if (dep_str_eq_nocase(dep_str_sub(typ, 0, prefix.len), prefix))
        typ = dep_str_sub(typ, prefix.len, typ.len);
    for (size_t i = 0; i < rules->typs_count; i++)
        if (dep_str_eq_nocase(typ, rules->typs[i])) {
            *ret_typ = typ;
            return DEP_OK;
        }
    return DEP_FAIL(JWS_TYP);
}

/* rfc8725#3.1: only the algorithms on the list of this place, named exactly. */
static struct dep_res check_alg(const struct dep_json *header, const struct dep_jws_rules *rules, enum dep_alg *ret_alg)
{
    struct dep_str name;
    enum dep_alg alg;

    if (!dep_is_ok(dep_json_str(DEP_JSON_GET(header, "alg"), &name)))
        return DEP_FAIL(JWS_ALG);
    alg = dep_alg_by_name(name);
    if (alg == DEP_ALG_NONE || (rules->algs & DEP_ALG_BIT(alg)) == 0)
        return DEP_FAIL(JWS_ALG);
    *ret_alg = alg;
    return DEP_OK;
}

static struct dep_res check_extensions(const struct dep_json *header, const struct dep_jws_rules *rules)
{
    static const struct dep_str addresses[] = { DEP_STR_INIT("jku"), DEP_STR_INIT("x5u"), DEP_STR_INIT("x5c") };
    static const struct dep_str thumbprints[] = { DEP_STR_INIT("x5t"), DEP_STR_INIT("x5t#S256") };

    /* rfc7515#4.1.11: no extension is understood here, so every crit is one that is not. */
    if (DEP_JSON_GET(header, "crit") != NULL)
        return DEP_FAIL(JWS_CRIT);
    if (DEP_JSON_GET(header, "b64") != NULL)
        return DEP_FAIL(JWS_B64);
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
        if (dep_json_get(header, addresses[i]) != NULL)
            return DEP_FAIL(JWS_HEADER_KEY);
    for (size_t i = 0; !rules->may_have_x5t && i < sizeof(thumbprints) / sizeof(thumbprints[0]); i++)
        if (dep_json_get(header, thumbprints[i]) != NULL)
            return DEP_FAIL(JWS_HEADER_KEY);
    return DEP_OK;
}

static struct dep_res check_jwk(const struct dep_json *header, const struct dep_jws_rules *rules,
                                const struct dep_json **ret_jwk)
{
    const struct dep_json *jwk = DEP_JSON_GET(header, "jwk");

    if (!rules->takes_jwk && jwk != NULL)
        return DEP_FAIL(JWS_HEADER_KEY);
    if (rules->takes_jwk && (jwk == NULL || jwk->type != DEP_JSON_OBJECT))
        return DEP_FAIL(JWS_HEADER);
    *ret_jwk = jwk;
    return DEP_OK;
}

struct dep_res dep_jws_parse(struct dep_arena *arena, struct dep_str token, const struct dep_jws_rules *rules,
                             struct dep_jws *ret_jws)
{
    struct dep_jws jws = { .alg = DEP_ALG_NONE };
    struct dep_str header, payload, signature, text;
    struct dep_json *json;

    if (token.len > rules->bytes_max)
        return DEP_FAIL(JWS_SIZE);
    DEP_TRY(split(token, &header, &payload, &signature));
    jws.signing_input = dep_str_sub(token, 0, header.len + 1 + payload.len);
    DEP_TRY(dep_b64url_decode(arena, header, &text));
    DEP_TRY(dep_b64url_decode(arena, payload, &jws.payload));
    DEP_TRY(dep_b64url_decode(arena, signature, &jws.signature));
    DEP_TRY(dep_json_parse(arena, text, HEADER_DEPTH_MAX, &json));
    if (json->type != DEP_JSON_OBJECT)
        return DEP_FAIL(JWS_HEADER);
    jws.header = json;
    DEP_TRY(check_typ(json, rules, &jws.typ));
    DEP_TRY(check_alg(json, rules, &jws.alg));
    DEP_TRY(check_extensions(json, rules));
    DEP_TRY(check_jwk(json, rules, &jws.jwk));
    if (!dep_jose_kid(json, &jws.kid))
        return DEP_FAIL(JWS_HEADER);
    *ret_jws = jws;
    return DEP_OK;
}

struct dep_res dep_jws_verify(struct dep_crypto *crypto, const struct dep_jws *jws, enum dep_alg alg,
                              const struct dep_public_key *key)
{
    /* rfc8725#3.1: one key, one algorithm, whatever the token says. */
    if (jws->alg == DEP_ALG_NONE || jws->alg != alg)
        return DEP_FAIL(JWS_KEY_ALG);
    return dep_verify(crypto, alg, key, jws->signing_input, jws->signature);
}

static void put_header(struct dep_buf *buf, enum dep_alg alg, struct dep_str typ, struct dep_str kid,
                       struct dep_str jwk_json)
{
    struct dep_json_writer writer;

    dep_json_begin(&writer, buf);
    dep_json_open(&writer, '{');
    dep_json_member(&writer, "alg", dep_str_c(dep_alg_name(alg)));
    dep_json_member(&writer, "typ", typ);
    dep_json_member(&writer, "kid", kid);
    if (!dep_str_is_absent(jwk_json)) {
        dep_json_name(&writer, "jwk");
        dep_json_put_raw(&writer, jwk_json);
    }
    dep_json_close(&writer, '}');
}

struct dep_res dep_jws_sign(struct dep_crypto *crypto, const struct dep_private_key *key, struct dep_str typ,
                            struct dep_str kid, struct dep_str jwk_json, struct dep_str payload, struct dep_buf *buf)
{
    unsigned char signature[DEP_SIGNATURE_MAX];
    char memory[HEADER_BYTES_MAX];
    size_t start = buf->len, len = 0;
    struct dep_buf header;

    dep_buf_init(&header, memory, sizeof(memory));
    put_header(&header, dep_private_key_alg(key), typ, kid, jwk_json);
    if (header.has_failed)
        return DEP_FAIL(BUF_FULL);
    dep_b64url_put(buf, header.ptr, header.len);
    dep_buf_put_char(buf, '.');
    dep_b64url_put(buf, payload.ptr, payload.len);
    if (buf->has_failed)
        return DEP_FAIL(BUF_FULL);
    DEP_TRY(dep_sign(crypto, key, dep_str(buf->ptr + start, buf->len - start), signature, &len));
    dep_buf_put_char(buf, '.');
    dep_b64url_put(buf, signature, len);
    return buf->has_failed ? DEP_FAIL(BUF_FULL) : DEP_OK;
}
