/* Certificates of clients, as DER and as a proxy's header: what is taken has one encoding, and nothing behind it. */
#include <string.h>

#include "crypto/certificate.h"
#include "fuzz/fuzz.h"
#include "http/client_cert.h"

static struct dep_crypto *crypto;

static void run(struct dep_arena *arena, struct dep_str der)
{
    struct dep_certificate certificate, longer;
    unsigned char digest[DEP_SHA256_LEN];
    struct dep_str more;
    char *copy;

    if (!dep_is_ok(dep_certificate_parse(crypto, arena, der, &certificate)))
        return;
    dep_sha256(crypto, der, digest);
    DEP_FUZZ_CHECK(memcmp(digest, certificate.thumbprint, sizeof(digest)) == 0);
    DEP_FUZZ_CHECK(certificate.sans_count <= DEP_CERTIFICATE_SANS_MAX && der.len <= DEP_CERTIFICATE_MAX);
    copy = dep_arena_alloc(arena, der.len + 1);
    if (copy == NULL)
        return;
    memcpy(copy, der.ptr, der.len);
    copy[der.len] = '\0';
    more = dep_str(copy, der.len + 1);
    DEP_FUZZ_CHECK(!dep_is_ok(dep_certificate_parse(crypto, arena, more, &longer)));
}

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    struct dep_str text = dep_fuzz_text(data, size), der;
    struct dep_arena arena;

    if (crypto == NULL)
        crypto = dep_crypto_new();
    DEP_FUZZ_CHECK(crypto != NULL);
    if (size > 65536)
        return;
    dep_arena_init_debug(&arena, DEP_FUZZ_ARENA);
    run(&arena, text);
    if (dep_is_ok(dep_client_cert_parse(&arena, text, &der)))
        run(&arena, der);
    dep_arena_reset(&arena);
}
