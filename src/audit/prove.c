/* Making and checking inclusion proofs. See prove.h for the form. */
#include "audit/prove.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/file.h"
#include "audit/merkle.h"
#include "audit/note.h"
#include "audit/segment.h"
#include "base/b64.h"
#include "base/num.h"

#define HEADER "c2sp.org/tlog-proof@v1"

/* What a proof is made from. */
struct prover {
    struct dep_crypto *crypto;
    int directory_fd, log_fd;
    struct dep_str note_text;
    struct dep_note note;
    struct dep_segments segments;
    struct dep_lines lines;
    unsigned char (*leaves)[DEP_SHA256_LEN]; /* as many as the note covers */
};

static struct dep_res read_note(struct prover *prover)
{
    struct dep_note_signer signer;
    struct dep_str key = DEP_STR_ABSENT;
    struct dep_res res;

    DEP_TRY(dep_file_read(prover->directory_fd, "key.pub", DEP_NOTE_MAX, &key, NULL));
    res = dep_note_signer_read(prover->crypto, key, &signer);
    dep_file_release(&key);
    DEP_TRY(res);
    DEP_TRY(dep_file_read(prover->directory_fd, "checkpoint", DEP_NOTE_MAX, &prover->note_text, NULL));
    if (prover->note_text.len == 0)
        return DEP_FAIL(STORE_MISSING);
    DEP_TRY(dep_note_read(prover->note_text, &prover->note));
    return dep_note_verify(prover->crypto, &signer, &prover->note);
}

/* From the records themselves: the file of leaves is not trusted. */
static struct dep_res hash_records(struct prover *prover, uint64_t index, struct dep_buf *line)
{
    struct dep_str text;

    prover->leaves = malloc((size_t)prover->note.size * DEP_SHA256_LEN);
    if (prover->leaves == NULL)
        return DEP_FAIL(AUDIT_IO);
    DEP_TRY(dep_segments_read(prover->log_fd, &prover->segments));
    DEP_TRY(dep_lines_init(&prover->lines, prover->log_fd, &prover->segments, 0, 0, 0));
    for (uint64_t i = 0; i < prover->note.size; i++) {
        DEP_TRY(dep_lines_next(&prover->lines, &text));
        if (text.ptr == NULL)
            return DEP_FAIL(AUDIT_CORRUPT);
        dep_merkle_leaf(prover->crypto, text, prover->leaves[i]);
        if (i == index)
            dep_buf_put(line, text);
    }
    return DEP_OK;
}

static void write_proof(const struct prover *prover, const struct dep_merkle_proof *path, struct dep_buf *proof)
{
    dep_buf_put_c(proof, HEADER "\nindex ");
    dep_buf_put_int(proof, (int64_t)path->index);
    dep_buf_put_char(proof, '\n');
    for (unsigned i = 0; i < path->count; i++) {
        dep_b64_put(proof, path->path[i], DEP_SHA256_LEN);
        dep_buf_put_char(proof, '\n');
    }
    dep_buf_put_char(proof, '\n');
    dep_buf_put(proof, dep_str(prover->note_text.ptr, prover->note.bytes));
}

static struct dep_res prove(struct prover *prover, const char *directory, uint64_t index, struct dep_buf *line,
                            struct dep_buf *proof)
{
    struct dep_merkle_proof path;

    prover->crypto = dep_crypto_new();
    prover->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (prover->crypto == NULL || prover->directory_fd < 0)
        return DEP_FAIL(AUDIT_IO);
    DEP_TRY(dep_segments_open(directory, &prover->log_fd));
    DEP_TRY(read_note(prover));
    if (index >= prover->note.size)
        return DEP_FAIL(STORE_MISSING);
    DEP_TRY(hash_records(prover, index, line));
    dep_merkle_prove(prover->crypto, (const unsigned char(*)[DEP_SHA256_LEN])prover->leaves, prover->note.size, index,
                     &path);
    if (!dep_merkle_is_included(prover->crypto, prover->leaves[index], &path, prover->note.root))
        return DEP_FAIL(AUDIT_CORRUPT);
    write_proof(prover, &path, proof);
    return line->has_failed || proof->has_failed ? DEP_FAIL(BUF_FULL) : DEP_OK;
}

struct dep_res dep_audit_prove(const char *directory, uint64_t index, struct dep_buf *line, struct dep_buf *proof)
{
    struct prover prover = { .directory_fd = -1, .log_fd = -1, .lines = { .fd = -1 } };
    struct dep_res res = prove(&prover, directory, index, line, proof);

    dep_lines_done(&prover.lines);
    dep_segments_done(&prover.segments);
    dep_file_release(&prover.note_text);
    free(prover.leaves);
    dep_crypto_free(prover.crypto);
    if (prover.log_fd >= 0)
        close(prover.log_fd);
    if (prover.directory_fd >= 0)
        close(prover.directory_fd);
    return res;
}

static struct dep_res read_hash(struct dep_str text, unsigned char ret_hash[DEP_SHA256_LEN])
{
    _Alignas(16) unsigned char memory[128];
    struct dep_arena arena;
    struct dep_str hash;

    dep_arena_init(&arena, memory, sizeof(memory));
    if (text.len > 64 || !dep_is_ok(dep_b64_decode(&arena, text, &hash)) || hash.len != DEP_SHA256_LEN)
        return DEP_FAIL(AUDIT_SYNTAX);
    memcpy(ret_hash, hash.ptr, DEP_SHA256_LEN);
    return DEP_OK;
}

/* Header, an optional line of extra data that means nothing here, index, hashes, an empty line. */
static struct dep_res read_path(struct dep_str *rest, struct dep_merkle_proof *ret_path)
{
    struct dep_str line;
    int64_t index;

    ret_path->count = 0;
    if (!dep_str_cut(rest, '\n', &line) || !dep_str_eq_c(line, HEADER) || !dep_str_cut(rest, '\n', &line))
        return DEP_FAIL(AUDIT_SYNTAX);
    if (dep_str_starts(line, DEP_STR("extra ")) && !dep_str_cut(rest, '\n', &line))
        return DEP_FAIL(AUDIT_SYNTAX);
    if (!dep_str_starts(line, DEP_STR("index ")) ||
        !dep_is_ok(dep_num_parse(dep_str_sub(line, 6, line.len), 0, INT64_MAX, &index)))
        return DEP_FAIL(AUDIT_SYNTAX);
    ret_path->index = (uint64_t)index;
    for (;;) {
        if (!dep_str_cut(rest, '\n', &line))
            return DEP_FAIL(AUDIT_SYNTAX);
        if (line.len == 0)
            return DEP_OK;
        if (ret_path->count == 64)
            return DEP_FAIL(AUDIT_SYNTAX);
        DEP_TRY(read_hash(line, ret_path->path[ret_path->count]));
        ret_path->count++;
    }
}

static struct dep_res check_proof(struct dep_crypto *crypto, struct dep_str public_key, struct dep_str line,
                                  struct dep_str proof, uint64_t *ret_index)
{
    unsigned char leaf[DEP_SHA256_LEN];
    struct dep_merkle_proof path;
    struct dep_note_signer signer;
    struct dep_note note;

    DEP_TRY(dep_note_signer_read(crypto, public_key, &signer));
    DEP_TRY(read_path(&proof, &path));
    DEP_TRY(dep_note_read(proof, &note));
    if (note.bytes != proof.len)
        return DEP_FAIL(AUDIT_SYNTAX);
    DEP_TRY(dep_note_verify(crypto, &signer, &note));
    path.size = note.size;
    dep_merkle_leaf(crypto, line, leaf);
    if (!dep_merkle_is_included(crypto, leaf, &path, note.root))
        return DEP_FAIL(AUDIT_CORRUPT);
    *ret_index = path.index;
    return DEP_OK;
}

struct dep_res dep_audit_check_proof(struct dep_str public_key, struct dep_str line, struct dep_str proof,
                                     uint64_t *ret_index)
{
    struct dep_crypto *crypto = dep_crypto_new();
    struct dep_res res;

    if (crypto == NULL)
        return DEP_FAIL(CRYPTO_LIBRARY);
    res = check_proof(crypto, public_key, line, proof, ret_index);
    dep_crypto_free(crypto);
    return res;
}
