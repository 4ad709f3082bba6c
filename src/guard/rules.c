/* Looking up the rule that decides a request. */
#include "guard/rules.h"

#include <string.h>

#include "proto/scope.h"

/* Bit 0 is for methods that are not in the list: only "*" covers them. */
static const struct dep_str methods[] = {
    DEP_STR_INIT(""),       DEP_STR_INIT("GET"),    DEP_STR_INIT("HEAD"),     DEP_STR_INIT("POST"),
    DEP_STR_INIT("PUT"),    DEP_STR_INIT("PATCH"),  DEP_STR_INIT("DELETE"),   DEP_STR_INIT("OPTIONS"),
    DEP_STR_INIT("TRACE"),  DEP_STR_INIT("QUERY"),  DEP_STR_INIT("PROPFIND"), DEP_STR_INIT("PROPPATCH"),
    DEP_STR_INIT("MKCOL"),  DEP_STR_INIT("COPY"),   DEP_STR_INIT("MOVE"),     DEP_STR_INIT("LOCK"),
    DEP_STR_INIT("UNLOCK"), DEP_STR_INIT("REPORT"), DEP_STR_INIT("SEARCH"),
};

unsigned dep_guard_method_bit(struct dep_str method)
{
    for (unsigned i = 1; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (method.len == methods[i].len && memcmp(method.ptr, methods[i].ptr, method.len) == 0)
            return 1u << i;
    return 0;
}

bool dep_guard_list_has(struct dep_guard_list texts, struct dep_str text)
{
    for (size_t i = 0; i < texts.count; i++)
        if (dep_str_eq(texts.items[i], text))
            return true;
    return false;
}

static inline char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Sets the bit that tells small letters from capitals, in every byte: what else that changes, it changes on both sides. */
uint64_t dep_guard_probe_word(struct dep_str path, size_t end)
{
    uint64_t word = 0;

    if (end >= sizeof(word))
        memcpy(&word, path.ptr + end - sizeof(word), sizeof(word));
    else
        memcpy(&word, path.ptr, path.len < sizeof(word) ? path.len : sizeof(word));
    return word | UINT64_C(0x2020202020202020);
}

/* --- paths --- */

/* rfc3986#3.3: pchar and '/', without what some servers read as something else: ';' (path parameters). */
static const bool plain_chars[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['-'] = true, ['.'] = true,  ['_'] = true,
    ['~'] = true,         ['!'] = true,         ['$'] = true,         ['&'] = true, ['\''] = true, ['('] = true,
    [')'] = true,         ['*'] = true,         ['+'] = true,         [','] = true, ['='] = true,  [':'] = true,
    ['@'] = true,         ['/'] = true,         ['%'] = true,
};

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "%C3", in upper case, of a byte that must be written so and that is no separator anywhere. */
static bool is_plain_percent(struct dep_str rest)
{
    int high = rest.len > 2 ? hex(rest.ptr[1]) : -1, low = rest.len > 2 ? hex(rest.ptr[2]) : -1, byte = high * 16 + low;

    if (high < 0 || low < 0 || byte <= 0x20 || byte == 0x7F)
        return false;
    return !(plain_chars[byte] || byte == '\\' || byte == ';');
}

bool dep_guard_path_is_plain(struct dep_str path)
{
    char before = '\0';

    if (path.len == 0 || path.ptr[0] != '/')
        return false;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];

        if (!plain_chars[(unsigned char)c] || (c == '%' && !is_plain_percent(dep_str_sub(path, i, 3))))
            return false;
        /* No empty segment, no "." and "..", and none that ends with a dot, which some file systems drop. */
        if (c == '/' && (before == '/' || before == '.'))
            return false;
        before = c;
    }
    return before != '.';
}

static size_t segment_end(struct dep_str path, size_t at)
{
    while (at < path.len && path.ptr[at] != '/')
        at++;
    return at;
}

/* A slash at the end of the path makes no difference: few servers see one. */
enum dep_guard_fit dep_guard_path_fits(struct dep_str pattern, struct dep_str path)
{
    enum dep_guard_fit fit = DEP_GUARD_FITS;
    size_t i = 0, k = 0;

    while (i < pattern.len) {
        if (pattern.ptr[i] == '/' && (k == path.len || path.ptr[k] == '/') &&
            dep_str_eq(dep_str_sub(pattern, i, pattern.len), DEP_STR("/**")))
            return fit;
        if (pattern.ptr[i] == '*') {
            size_t end = segment_end(path, k);

            if (end == k)
                return DEP_GUARD_FITS_NOT;
            k = end;
            i++;
            continue;
        }
        if (k == path.len || fold(pattern.ptr[i]) != fold(path.ptr[k]))
            return DEP_GUARD_FITS_NOT;
        if (pattern.ptr[i] != path.ptr[k])
            fit = DEP_GUARD_FITS_BUT_CASE;
        i++;
        k++;
    }
    return k == path.len || (k + 1 == path.len && path.ptr[k] == '/') ? fit : DEP_GUARD_FITS_NOT;
}

/* --- look-up --- */

/* "read_*" stands for all that starts so. */
static bool names_fit(struct dep_guard_list names, struct dep_str name)
{
    for (size_t i = 0; i < names.count; i++) {
        struct dep_str item = names.items[i];

        if (dep_str_eq(item, name) ||
            (dep_str_ends(item, DEP_STR("*")) && dep_str_starts(name, dep_str_sub(item, 0, item.len - 1))))
            return true;
    }
    return false;
}

static bool fits_message(const struct dep_guard_rule *rule, const struct dep_guard_mcp *mcp)
{
    if (dep_str_is_absent(mcp->method)) /* an answer to the server's own question asks for nothing */
        return dep_str_eq_c(rule->mcp_methods.items[0], "*") && rule->mcp_names.count == 0;
    if (!names_fit(rule->mcp_methods, mcp->method))
        return false;
    return rule->mcp_names.count == 0 || (!dep_str_is_absent(mcp->name) && names_fit(rule->mcp_names, mcp->name));
}

struct dep_res dep_guard_rules_find(const struct dep_guard_rules *rules, struct dep_str method, struct dep_str path,
                                    const struct dep_guard_mcp *mcp, const struct dep_guard_rule **ret_rule)
{
    unsigned bit = dep_guard_method_bit(method);

    if (!dep_guard_path_is_plain(path))
        return DEP_FAIL(GUARD_PATH);
    for (size_t i = 0; bit == 0 && i < method.len; i++)
        if (method.ptr[i] >= 'a' && method.ptr[i] <= 'z') /* "get": a server may take it for GET */
            return DEP_FAIL(GUARD_PATH);
    bit = bit == 0 ? 1u : bit;
    for (size_t i = 0; i < rules->count; i++) {
        const struct dep_guard_probe *probe = &rules->probes[i];
        const struct dep_guard_rule *rule;
        enum dep_guard_fit fit;

        if ((probe->method_bits & bit) == 0 || path.len < probe->end ||
            ((dep_guard_probe_word(path, probe->end) ^ probe->word) & probe->mask) != 0)
            continue;
        rule = &rules->rows[i];
        fit = dep_guard_path_fits(rule->path, path);
        if (fit == DEP_GUARD_FITS_NOT)
            continue;
        if (fit == DEP_GUARD_FITS_BUT_CASE)
            return DEP_FAIL(GUARD_PATH);
        if (rule->mcp_methods.count > 0) {
            if (mcp == NULL || !mcp->is_known)
                return DEP_FAIL(GUARD_TOOL_UNKNOWN);
            if (!fits_message(rule, mcp))
                continue;
        }
        *ret_rule = rule;
        return DEP_OK;
    }
    return DEP_FAIL(GUARD_NO_RULE);
}

bool dep_guard_rule_has_scopes(const struct dep_guard_rule *rule, struct dep_str scope)
{
    for (size_t i = 0; i < rule->needs_count; i++) {
        const struct dep_guard_need *need = &rule->needs[i];
        bool has = dep_scope_has(scope, need->scope);

        for (size_t k = 0; !has && k < need->also.count; k++)
            has = dep_scope_has(scope, need->also.items[k]);
        if (!has)
            return false;
    }
    return true;
}
