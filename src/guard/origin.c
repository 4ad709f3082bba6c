/* The adapters: which headers each proxy says the original request in.
 *
 * Host and protocol are never read from here: htu and the metadata URL come from the configured public URL (G5), so a
 * forged X-Forwarded-Host changes nothing (attack case B19). */
#include "guard/origin.h"

#define METHOD_MAX 32u

static const struct dep_str slot_names[DEP_GUARD_SLOTS] = {
    [DEP_GUARD_AUTHORIZATION] = DEP_STR_INIT("authorization"),
    [DEP_GUARD_DPOP] = DEP_STR_INIT("dpop"),
    [DEP_GUARD_ORIGINAL_METHOD] = DEP_STR_INIT("x-original-method"),
    [DEP_GUARD_ORIGINAL_URL] = DEP_STR_INIT("x-original-url"),
    [DEP_GUARD_FORWARDED_METHOD] = DEP_STR_INIT("x-forwarded-method"),
    [DEP_GUARD_FORWARDED_URI] = DEP_STR_INIT("x-forwarded-uri"),
    [DEP_GUARD_FORWARDED_HOST] = DEP_STR_INIT("x-forwarded-host"),
    [DEP_GUARD_FORWARDED_PROTO] = DEP_STR_INIT("x-forwarded-proto"),
    [DEP_GUARD_WEB_ORIGIN] = DEP_STR_INIT("origin"),
    [DEP_GUARD_MCP_VERSION] = DEP_STR_INIT("mcp-protocol-version"),
    [DEP_GUARD_MCP_METHOD] = DEP_STR_INIT("mcp-method"),
    [DEP_GUARD_MCP_NAME] = DEP_STR_INIT("mcp-name"),
    [DEP_GUARD_CLIENT_CERT] = DEP_STR_INIT("client-cert"),
};

#define FIRST DEP_GUARD_ORIGINAL_METHOD
#define LAST DEP_GUARD_FORWARDED_PROTO

/* The slots `method` to `last` are the adapter's own; DEP_GUARD_SLOTS: it is said apart from the headers. */
static const struct {
    const char *name;
    enum dep_guard_slot method, target, last;
} adapters[DEP_GUARD_ADAPTERS] = {
    [DEP_GUARD_AUTH_REQUEST] = { "auth-request", DEP_GUARD_ORIGINAL_METHOD, DEP_GUARD_ORIGINAL_URL,
                                 DEP_GUARD_ORIGINAL_URL },
    [DEP_GUARD_FORWARD_AUTH] = { "forward-auth", DEP_GUARD_FORWARDED_METHOD, DEP_GUARD_FORWARDED_URI,
                                 DEP_GUARD_FORWARDED_PROTO },
    [DEP_GUARD_EXT_AUTHZ] = { "ext-authz", DEP_GUARD_SLOTS, DEP_GUARD_SLOTS, DEP_GUARD_SLOTS },
    [DEP_GUARD_IN_PROCESS] = { "in-process", DEP_GUARD_SLOTS, DEP_GUARD_SLOTS, DEP_GUARD_SLOTS },
};

const char *dep_guard_adapter_name(enum dep_guard_adapter adapter)
{
    return adapters[adapter].name;
}

/* What another adapter reads is a word of the caller's here, also when it is said twice (G1). */
static bool is_read(enum dep_guard_adapter adapter, unsigned slot)
{
    return slot < FIRST || slot > LAST || (slot >= adapters[adapter].method && slot <= adapters[adapter].last);
}

void dep_guard_headers_read(const struct dep_guard_request *request, enum dep_guard_certificates certificates,
                            struct dep_guard_headers *ret_headers)
{
    unsigned slots = certificates == DEP_GUARD_CERTIFICATES_HEADER ? DEP_GUARD_SLOTS : DEP_GUARD_CLIENT_CERT;

    _Static_assert(DEP_GUARD_CLIENT_CERT + 1 == DEP_GUARD_SLOTS, "it is the last one, so that it can be left out");
    *ret_headers = (struct dep_guard_headers){ 0 };
    for (size_t i = 0; i < request->headers_count; i++) {
        const struct dep_header *header = &request->headers[i];

        for (unsigned slot = 0; slot < slots; slot++) {
            if (!is_read(request->adapter, slot) || header->name.len != slot_names[slot].len ||
                !dep_str_eq_nocase(header->name, slot_names[slot]))
                continue;
            if (ret_headers->count[slot]++ == 0)
                ret_headers->value[slot] = header->value;
            /* Envoy makes one line of two, with a comma between (rfc9110#5.3). What is a list already, or a proof, is
             * looked at elsewhere. */
            if (request->adapter == DEP_GUARD_EXT_AUTHZ && slot > LAST && dep_str_has(header->value, ','))
                ret_headers->count[slot]++;
        }
    }

    bool is_said = adapters[request->adapter].method == DEP_GUARD_SLOTS;

    ret_headers->method = is_said ? request->method : ret_headers->value[adapters[request->adapter].method];
    ret_headers->target = is_said ? request->target : ret_headers->value[adapters[request->adapter].target];
}

struct dep_res dep_guard_headers_once(const struct dep_guard_headers *headers)
{
    for (unsigned slot = 0; slot < DEP_GUARD_SLOTS; slot++)
        if (slot != DEP_GUARD_DPOP && headers->count[slot] > 1)
            return DEP_FAIL(HTTP_HEADER_DUPLICATE);
    return DEP_OK;
}

/* rfc9110#5.6.2 */
static bool is_token(struct dep_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              dep_str_has(DEP_STR("!#$%&'*+-.^_`|~"), c)))
            return false;
    }
    return text.len > 0;
}

struct dep_res dep_guard_origin(const struct dep_guard_headers *headers, struct dep_str *ret_method,
                                struct dep_str *ret_path)
{
    struct dep_str method = headers->method, path = headers->target;

    if (!is_token(method) || method.len > METHOD_MAX)
        return DEP_FAIL(GUARD_ORIGIN);
    /* nginx sends an absolute URL whose host is the caller's word: only what follows the authority counts. */
    if (dep_str_starts(path, DEP_STR("http://")) || dep_str_starts(path, DEP_STR("https://"))) {
        path = dep_str_sub(path, path.ptr[4] == 's' ? 8 : 7, path.len);
        path = dep_str_sub(path, dep_str_find(path, '/'), path.len);
    }
    path = dep_str_sub(path, 0, dep_str_find(path, '?'));
    path = dep_str_sub(path, 0, dep_str_find(path, '#'));
    if (path.len == 0 || path.ptr[0] != '/')
        return DEP_FAIL(GUARD_ORIGIN);
    for (size_t i = 0; i < path.len; i++)
        if ((unsigned char)path.ptr[i] <= ' ' || path.ptr[i] == 0x7F)
            return DEP_FAIL(GUARD_ORIGIN);
    *ret_method = method;
    *ret_path = path;
    return DEP_OK;
}
