/* Signed notes. See note.h for the form. */
#include "audit/note.h"

#include <string.h>

#include "base/b64.h"
#include "base/num.h"

#define ED25519_TYPE 0x01
#define SIGNATURE_LEN 64u
#define DASH "\xE2\x80\x94 " /* an em dash and a blank begin a signature line */

static bool is_name(struct dep_str name)
{
    if (name.len == 0 || name.len > DEP_NOTE_NAME_MAX || !dep_str_is_utf8(name))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] <= ' ' || name.ptr[i] == '+' || name.ptr[i] == 0x7F)
            return false;
    return true;
}

/* The first four bytes of SHA-256(name || 0x0A || type || public key). */
static struct dep_res signer_make(struct dep_crypto *crypto, struct dep_str name, struct dep_str public_key,
                                  struct dep_note_signer *ret_signer)
{
    static const char type[] = { '\n', ED25519_TYPE };
    struct dep_str parts[] = { name, dep_str(type, sizeof(type)), public_key };
    unsigned char digest[DEP_SHA256_LEN];

    if (!is_name(name) || public_key.len != DEP_NOTE_KEY_LEN)
        return DEP_FAIL(AUDIT_SYNTAX);
    dep_sha256_parts(crypto, parts, 3, digest);
    memset(ret_signer, 0, sizeof(*ret_signer));
    memcpy(ret_signer->name, name.ptr, name.len);
    ret_signer->name_len = name.len;
    memcpy(ret_signer->key_hash, digest, sizeof(ret_signer->key_hash));
    memcpy(ret_signer->public_key, public_key.ptr, DEP_NOTE_KEY_LEN);
    return DEP_OK;
}

struct dep_res dep_note_signer_of(struct dep_crypto *crypto, struct dep_str name, const struct dep_private_key *key,
                                  struct dep_note_signer *ret_signer)
{
    _Alignas(16) unsigned char memory[512];
    struct dep_arena arena;
    struct dep_str x, y;

    if (dep_private_key_alg(key) != DEP_ALG_ED25519)
        return DEP_FAIL(AUDIT_SYNTAX);
    dep_arena_init(&arena, memory, sizeof(memory));
    DEP_TRY(dep_private_key_parts(key, &arena, &x, &y));
    return signer_make(crypto, name, x, ret_signer);
}

struct dep_res dep_note_signer_read(struct dep_crypto *crypto, struct dep_str line, struct dep_note_signer *ret_signer)
{
    _Alignas(16) unsigned char memory[512];
    char hex[2 * sizeof(ret_signer->key_hash)];
    struct dep_note_signer signer;
    struct dep_str rest = dep_str_trim(line);
    struct dep_str name, hash, key;
    struct dep_arena arena;
    struct dep_buf buf;

    if (dep_str_ends(rest, DEP_STR("\n")))
        rest.len--;
    dep_arena_init(&arena, memory, sizeof(memory));
    /* The key's base64 may have a plus too: only the first two divide. */
    if (!dep_str_cut(&rest, '+', &name) || !dep_str_cut(&rest, '+', &hash) || rest.len > 64)
        return DEP_FAIL(AUDIT_SYNTAX);
    if (!dep_is_ok(dep_b64_decode(&arena, rest, &key)) || key.len != 1 + DEP_NOTE_KEY_LEN || key.ptr[0] != ED25519_TYPE)
        return DEP_FAIL(AUDIT_SYNTAX);
    DEP_TRY(signer_make(crypto, name, dep_str_sub(key, 1, key.len), &signer));
    dep_buf_init(&buf, hex, sizeof(hex));
    dep_buf_put_hex(&buf, signer.key_hash, sizeof(signer.key_hash));
    if (!dep_str_eq(hash, dep_buf_str(&buf)))
        return DEP_FAIL(AUDIT_SYNTAX);
    *ret_signer = signer;
    return DEP_OK;
}

void dep_note_signer_write(struct dep_buf *buf, const struct dep_note_signer *signer)
{
    unsigned char typed[1 + DEP_NOTE_KEY_LEN] = { ED25519_TYPE };

    memcpy(typed + 1, signer->public_key, DEP_NOTE_KEY_LEN);
    dep_buf_put(buf, dep_str(signer->name, signer->name_len));
    dep_buf_put_char(buf, '+');
    dep_buf_put_hex(buf, signer->key_hash, sizeof(signer->key_hash));
    dep_buf_put_char(buf, '+');
    dep_b64_put(buf, typed, sizeof(typed));
}

struct dep_res dep_note_sign(struct dep_crypto *crypto, const struct dep_note_signer *signer,
                             const struct dep_private_key *key, uint64_t size, const unsigned char root[DEP_SHA256_LEN],
                             struct dep_buf *buf)
{
    unsigned char blob[sizeof(signer->key_hash) + DEP_SIGNATURE_MAX];
    struct dep_str name = dep_str(signer->name, signer->name_len);
    size_t start = buf->len;
    size_t len = 0;

    dep_buf_put(buf, name);
    dep_buf_put_char(buf, '\n');
    dep_buf_put_int(buf, (int64_t)size);
    dep_buf_put_char(buf, '\n');
    dep_b64_put(buf, root, DEP_SHA256_LEN);
    dep_buf_put_char(buf, '\n');
    if (buf->has_failed)
        return DEP_FAIL(BUF_FULL);
    memcpy(blob, signer->key_hash, sizeof(signer->key_hash));
    DEP_TRY(dep_sign(crypto, key, dep_str(buf->ptr + start, buf->len - start), blob + sizeof(signer->key_hash), &len));
    dep_buf_put_c(buf, "\n" DASH);
    dep_buf_put(buf, name);
    dep_buf_put_char(buf, ' ');
    dep_b64_put(buf, blob, sizeof(signer->key_hash) + len);
    dep_buf_put_char(buf, '\n');
    return buf->has_failed ? DEP_FAIL(BUF_FULL) : DEP_OK;
}

/* Cuts a whole line, ended by a newline, off the front. */
static bool take_line(struct dep_str *rest, struct dep_str *ret_line)
{
    size_t len = dep_str_find(*rest, '\n');

    if (len == rest->len)
        return false;
    *ret_line = dep_str(rest->ptr, len);
    *rest = dep_str(rest->ptr + len + 1, rest->len - len - 1);
    return true;
}

static struct dep_res read_root(struct dep_str text, unsigned char ret_root[DEP_SHA256_LEN])
{
    _Alignas(16) unsigned char memory[128];
    struct dep_arena arena;
    struct dep_str root;

    dep_arena_init(&arena, memory, sizeof(memory));
    if (text.len > 64 || !dep_is_ok(dep_b64_decode(&arena, text, &root)) || root.len != DEP_SHA256_LEN)
        return DEP_FAIL(AUDIT_SYNTAX);
    memcpy(ret_root, root.ptr, DEP_SHA256_LEN);
    return DEP_OK;
}

struct dep_res dep_note_read(struct dep_str text, struct dep_note *ret_note)
{
    struct dep_str rest = dep_str_sub(text, 0, DEP_NOTE_MAX);
    struct dep_str size, root, blank, line;
    struct dep_note note;
    int64_t number = 0;

    if (!take_line(&rest, &note.origin) || !take_line(&rest, &size) || !take_line(&rest, &root))
        return DEP_FAIL(AUDIT_SYNTAX);
    note.text = dep_str(text.ptr, (size_t)(rest.ptr - text.ptr));
    if (!take_line(&rest, &blank) || blank.len != 0)
        return DEP_FAIL(AUDIT_SYNTAX);
    if (!dep_is_ok(dep_num_parse(size, 0, INT64_MAX, &number)))
        return DEP_FAIL(AUDIT_SYNTAX);
    note.size = (uint64_t)number;
    DEP_TRY(read_root(root, note.root));
    note.signatures = dep_str(rest.ptr, 0);
    while (dep_str_starts(rest, DEP_STR(DASH)) && take_line(&rest, &line))
        note.signatures.len = (size_t)(rest.ptr - note.signatures.ptr);
    if (note.signatures.len == 0)
        return DEP_FAIL(AUDIT_SYNTAX);
    note.bytes = (size_t)(rest.ptr - text.ptr);
    *ret_note = note;
    return DEP_OK;
}

static bool is_signed(struct dep_crypto *crypto, const struct dep_public_key *key, const struct dep_note_signer *signer,
                      struct dep_str text, struct dep_str line)
{
    _Alignas(16) unsigned char memory[256];
    struct dep_str rest = dep_str_sub(line, sizeof(DASH) - 1, line.len);
    struct dep_arena arena;
    struct dep_str name, blob;

    dep_arena_init(&arena, memory, sizeof(memory));
    return dep_str_cut(&rest, ' ', &name) && dep_str_eq(name, dep_str(signer->name, signer->name_len)) &&
           rest.len <= 128 && dep_is_ok(dep_b64_decode(&arena, rest, &blob)) &&
           blob.len == sizeof(signer->key_hash) + SIGNATURE_LEN &&
           memcmp(blob.ptr, signer->key_hash, sizeof(signer->key_hash)) == 0 &&
           dep_is_ok(
               dep_verify(crypto, DEP_ALG_ED25519, key, text, dep_str_sub(blob, sizeof(signer->key_hash), blob.len)));
}

struct dep_res dep_note_verify(struct dep_crypto *crypto, const struct dep_note_signer *signer,
                               const struct dep_note *note)
{
    struct dep_str rest = note->signatures;
    struct dep_public_key *key = NULL;
    struct dep_str line;
    bool is_good = false;

    if (!dep_str_eq(note->origin, dep_str(signer->name, signer->name_len)))
        return DEP_FAIL(AUDIT_CORRUPT);
    DEP_TRY(dep_public_key_new_ed25519(dep_str((const char *)signer->public_key, DEP_NOTE_KEY_LEN), &key));
    while (!is_good && take_line(&rest, &line))
        is_good = is_signed(crypto, key, signer, note->text, line);
    dep_public_key_free(key);
    return is_good ? DEP_OK : DEP_FAIL(AUDIT_CORRUPT);
}
