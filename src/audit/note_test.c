/* Signed notes: what other programs have signed, and what must not pass. */
#include "audit/note.h"

#include <string.h>

#include "test/unit.h"

#define NAME "deputy/as.example.org"

DEP_TEST(reads_verifier_keys_of_others)
{
    static const char *const good[] = { "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                                        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8" };
    static const char *const bad[] = {
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeuman+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+AhpC2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    };
    struct dep_crypto *crypto = dep_crypto_new();
    struct dep_note_signer signer;
    struct dep_buf buf;
    char text[DEP_NOTE_MAX];

    for (size_t i = 0; i < DEP_COUNT(good); i++) {
        DEP_CHECK_OK(t, dep_note_signer_read(crypto, dep_str_c(good[i]), &signer));
        dep_buf_init(&buf, text, sizeof(text));
        dep_note_signer_write(&buf, &signer);
        DEP_CHECK_STR(t, dep_buf_str(&buf), good[i]);
    }
    for (size_t i = 0; i < DEP_COUNT(bad); i++)
        DEP_CHECK_FAIL(t, dep_note_signer_read(crypto, dep_str_c(bad[i]), &signer), AUDIT_SYNTAX);
    dep_crypto_free(crypto);
}

/* The example of the reference implementation of signed notes. */
DEP_TEST(verifies_what_others_signed)
{
    struct dep_crypto *crypto = dep_crypto_new();
    struct dep_note_signer signer;
    struct dep_note note = {
        .text = DEP_STR(
            "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"),
        .origin = DEP_STR("PeterNeumann"),
        .signatures = DEP_STR("\xE2\x80\x94 PeterNeumann "
                              "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6"
                              "RyyBwJnAM=\n"),
    };

    DEP_CHECK_OK(t, dep_note_signer_read(crypto,
                                         DEP_STR("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
                                         &signer));
    DEP_CHECK_OK(t, dep_note_verify(crypto, &signer, &note));
    note.text.len--;
    DEP_CHECK_FAIL(t, dep_note_verify(crypto, &signer, &note), AUDIT_CORRUPT);
    dep_crypto_free(crypto);
}

struct made {
    struct dep_crypto *crypto;
    struct dep_private_key *key;
    struct dep_note_signer signer;
    char bytes[DEP_NOTE_MAX];
    size_t len;
};

static void made_init(struct dep_test *t, struct made *made, uint64_t size)
{
    unsigned char root[DEP_SHA256_LEN];
    struct dep_buf buf;

    memset(root, 7, sizeof(root));
    made->crypto = dep_crypto_new();
    DEP_CHECK_OK(t, dep_private_key_new(DEP_ALG_ED25519, &made->key));
    DEP_CHECK_OK(t, dep_note_signer_of(made->crypto, DEP_STR(NAME), made->key, &made->signer));
    dep_buf_init(&buf, made->bytes, sizeof(made->bytes));
    DEP_CHECK_OK(t, dep_note_sign(made->crypto, &made->signer, made->key, size, root, &buf));
    made->len = buf.len;
}

static void made_done(struct made *made)
{
    dep_private_key_free(made->key);
    dep_crypto_free(made->crypto);
}

static struct dep_res check(const struct made *made, struct dep_str text)
{
    struct dep_note note;

    DEP_TRY(dep_note_read(text, &note));
    if (note.bytes != text.len)
        return DEP_FAIL(AUDIT_SYNTAX);
    return dep_note_verify(made->crypto, &made->signer, &note);
}

/* No bit of a note can be changed, no byte left out or doubled. */
DEP_TEST(J08_every_byte_counts)
{
    struct made made;
    char text[DEP_NOTE_MAX];

    made_init(t, &made, 1234567890123);
    DEP_CHECK_OK(t, check(&made, dep_str(made.bytes, made.len)));
    for (size_t i = 0; i < made.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(text, made.bytes, made.len);
            text[i] = (char)(text[i] ^ (1 << bit));
            DEP_CHECK(t, !dep_is_ok(check(&made, dep_str(text, made.len))));
        }
        memcpy(text, made.bytes, i);
        memcpy(text + i, made.bytes + i + 1, made.len - i - 1);
        DEP_CHECK(t, !dep_is_ok(check(&made, dep_str(text, made.len - 1))));
        memcpy(text + i, made.bytes + i, 1);
        memcpy(text + i + 1, made.bytes + i, made.len - i);
        DEP_CHECK(t, !dep_is_ok(check(&made, dep_str(text, made.len + 1))));
        DEP_CHECK(t, !dep_is_ok(check(&made, dep_str(made.bytes, i))));
    }
    made_done(&made);
}

/* Others may sign too, before or after; a signature of another key of the same name does not count. */
DEP_TEST(finds_its_signature_among_others)
{
    static const char other[] =
        "\xE2\x80\x94 witness.example x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6"
        "KE6RyyBwJnAM=\n";
    struct made made, stranger;
    char text[2 * DEP_NOTE_MAX];
    struct dep_note note;
    size_t body;

    made_init(t, &made, 12);
    made_init(t, &stranger, 12);
    DEP_CHECK_OK(t, dep_note_read(dep_str(made.bytes, made.len), &note));
    DEP_CHECK(t, note.size == 12 && dep_str_eq_c(note.origin, NAME) && note.root[31] == 7);
    body = (size_t)(note.signatures.ptr - made.bytes);
    memcpy(text, made.bytes, made.len);
    memcpy(text + made.len, other, sizeof(other) - 1);
    DEP_CHECK_OK(t, check(&made, dep_str(text, made.len + sizeof(other) - 1)));
    memcpy(text + body, other, sizeof(other) - 1);
    memcpy(text + body + sizeof(other) - 1, made.bytes + body, made.len - body);
    DEP_CHECK_OK(t, check(&made, dep_str(text, made.len + sizeof(other) - 1)));
    DEP_CHECK_FAIL(t, check(&made, dep_str(text, body + sizeof(other) - 1)), AUDIT_CORRUPT);
    DEP_CHECK_FAIL(t, check(&made, dep_str(stranger.bytes, stranger.len)), AUDIT_CORRUPT);
    DEP_CHECK_OK(t, check(&stranger, dep_str(stranger.bytes, stranger.len)));
    made_done(&made);
    made_done(&stranger);
}

DEP_TEST(signs_with_ed25519_only)
{
    struct dep_crypto *crypto = dep_crypto_new();
    struct dep_private_key *key = NULL;
    struct dep_note_signer signer;

    DEP_CHECK_OK(t, dep_private_key_new(DEP_ALG_ES256, &key));
    DEP_CHECK_FAIL(t, dep_note_signer_of(crypto, DEP_STR(NAME), key, &signer), AUDIT_SYNTAX);
    dep_private_key_free(key);
    dep_crypto_free(crypto);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(reads_verifier_keys_of_others),    DEP_ROW(verifies_what_others_signed), DEP_ROW(J08_every_byte_counts),
        DEP_ROW(finds_its_signature_among_others), DEP_ROW(signs_with_ed25519_only),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}
