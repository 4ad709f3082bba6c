/* SPIFFE IDs (SPIFFE-ID sections 2.1-2.4): compared byte for byte, so nothing is normalised; what is not in the standard's form is refused. */
#include "proto/spiffe.h"

#define SCHEME DEP_STR("spiffe://")
#define ID_MAX 2048u
#define DOMAIN_MAX 255u

static bool is_low_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_domain_name(struct dep_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!is_low_or_digit(name.ptr[i]) && name.ptr[i] != '.' && name.ptr[i] != '-' && name.ptr[i] != '_')
            return false;
    return name.len > 0 && name.len <= DOMAIN_MAX;
}

static bool is_segment(struct dep_str part)
{
    for (size_t i = 0; i < part.len; i++) {
        char c = part.ptr[i];

        if (!is_low_or_digit(c) && !(c >= 'A' && c <= 'Z') && c != '.' && c != '-' && c != '_')
            return false;
    }
    return part.len > 0 && !dep_str_eq(part, DEP_STR(".")) && !dep_str_eq(part, DEP_STR(".."));
}

bool dep_spiffe_domain(struct dep_str id, struct dep_str *ret_domain)
{
    struct dep_str rest, name, part;

    if (id.len > ID_MAX || !dep_str_starts(id, SCHEME) || dep_str_ends(id, DEP_STR("/")))
        return false;
    rest = dep_str_sub(id, SCHEME.len, id.len);
    if (!dep_str_has(rest, '/') || !dep_str_cut(&rest, '/', &name) || !is_domain_name(name))
        return false;
    while (dep_str_cut(&rest, '/', &part))
        if (!is_segment(part))
            return false;
    *ret_domain = dep_str_sub(id, 0, SCHEME.len + name.len);
    return true;
}

bool dep_spiffe_is_domain(struct dep_str id)
{
    return dep_str_starts(id, SCHEME) && is_domain_name(dep_str_sub(id, SCHEME.len, id.len));
}
