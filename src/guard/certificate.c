/* The certificate's bytes are hashed and never parsed: a parser would be one more thing that a caller can reach. */
#include "guard/certificate.h"

#include "base/b64.h"
#include "http/client_cert.h"

struct dep_res dep_guard_certificate_check(struct dep_crypto *crypto, struct dep_str der, struct dep_str x5t)
{
    unsigned char digest[DEP_SHA256_LEN];
    char text[DEP_B64_ENCODED(DEP_SHA256_LEN)];
    struct dep_buf buf;

    if (der.len == 0)
        return DEP_FAIL(TOKEN_NO_CERTIFICATE);
    dep_sha256(crypto, der, digest);
    dep_buf_init(&buf, text, sizeof(text));
    dep_b64url_put(&buf, digest, sizeof(digest));
    return dep_str_eq(dep_buf_str(&buf), x5t) ? DEP_OK : DEP_FAIL(TOKEN_CERTIFICATE);
}

struct dep_res dep_guard_certificate_read(struct dep_arena *arena, struct dep_str header, struct dep_str *ret_der)
{
    *ret_der = DEP_STR_ABSENT;
    return dep_str_is_blank(dep_str_trim(header)) ? DEP_OK : dep_client_cert_parse(arena, header, ret_der);
}
