/* Claims by name or by path (RFC 6901). Dots stand in names ("kubernetes.io"), so paths are written with slashes. */
#include "proto/claim.h"

#include "proto/spiffe.h"

#define NAME_MAX_BYTES 256u

/* rfc6901#4: "~1" is "/", then "~0" is "~". False: another letter after "~", or nothing. */
static bool unescape(struct dep_str part, char *text, size_t *ret_len)
{
    size_t len = 0;

    for (size_t i = 0; i < part.len; i++) {
        char c = part.ptr[i];

        if (c == '~') {
            if (i + 1 == part.len || (part.ptr[i + 1] != '0' && part.ptr[i + 1] != '1'))
                return false;
            c = part.ptr[++i] == '0' ? '~' : '/';
        }
        text[len++] = c;
    }
    *ret_len = len;
    return true;
}

bool dep_claim_name_is_good(struct dep_str name)
{
    char text[NAME_MAX_BYTES];
    struct dep_str rest, part;
    size_t len;

    if (dep_str_is_blank(name) || name.len > NAME_MAX_BYTES)
        return false;
    if (name.ptr[0] != '/')
        return true;
    if (dep_str_ends(name, DEP_STR("/")))
        return false;
    rest = dep_str_sub(name, 1, name.len);
    while (dep_str_cut(&rest, '/', &part))
        if (part.len == 0 || !unescape(part, text, &len))
            return false;
    return true;
}

const struct dep_json *dep_claim_at(const struct dep_json *claims, struct dep_str name)
{
    char text[NAME_MAX_BYTES];
    struct dep_str rest, part;
    size_t len;

    if (!dep_claim_name_is_good(name))
        return NULL;
    if (name.ptr[0] != '/')
        return dep_json_get(claims, name);
    rest = dep_str_sub(name, 1, name.len);
    while (claims != NULL && dep_str_cut(&rest, '/', &part))
        claims = unescape(part, text, &len) ? dep_json_get(claims, dep_str(text, len)) : NULL;
    return claims;
}

static bool is_below(struct dep_str text, struct dep_str pattern)
{
    struct dep_str above = dep_str_sub(pattern, 0, pattern.len - 1), domain;

    return dep_str_starts(text, above) && text.len > above.len && dep_spiffe_domain(text, &domain);
}

bool dep_claim_is(const struct dep_json *claims, struct dep_str name, struct dep_str value)
{
    struct dep_str text;

    if (!dep_is_ok(dep_json_str(dep_claim_at(claims, name), &text)))
        return false;
    if (dep_str_starts(value, DEP_STR("spiffe://")) && dep_str_ends(value, DEP_STR("/*")))
        return is_below(text, value);
    return dep_str_eq(text, value);
}

bool dep_claims_are(const struct dep_json *claims, const struct dep_claim_terms *terms)
{
    for (size_t i = 0; i < terms->count; i++)
        if (!dep_claim_is(claims, terms->names[i], terms->values[i]))
            return false;
    return true;
}

static bool is_value(const struct dep_json *claim, struct dep_str value)
{
    struct dep_str text;
    bool is_true;

    if (dep_is_ok(dep_json_bool(claim, &is_true)))
        return dep_str_eq_c(value, is_true ? "true" : "false");
    return dep_is_ok(dep_json_str(claim, &text)) && dep_str_eq(text, value);
}

static bool has_value(const struct dep_json *claim, struct dep_str value)
{
    if (claim == NULL || claim->type != DEP_JSON_ARRAY)
        return is_value(claim, value);
    for (const struct dep_json *item = claim->child; item != NULL; item = item->next)
        if (is_value(item, value))
            return true;
    return false;
}

bool dep_claims_have(const struct dep_json *claims, const struct dep_claim_terms *terms)
{
    for (size_t i = 0; i < terms->count; i++)
        if (!has_value(dep_claim_at(claims, terms->names[i]), terms->values[i]))
            return false;
    return true;
}
