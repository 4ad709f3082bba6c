/* The state file: where the log ended at a checkpoint and the heads of its tree, so that opening does not read the whole log.
 *
 * It is derived and not trusted: the heads must give the root that is signed for their size, at once or after the records behind
 * them were added, the record before the place must be the last leaf, and the segments before must be as long as they were. What does
 * not fit is made anew from the segments. A record that was changed in place is not seen here: that is for verification. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/file.h"
#include "audit/internal.h"
#include "base/b64.h"
#include "base/json.h"

#define STATE_MAX 8192u
#define STATE_ARENA (64u * 1024)

struct state {
    struct dep_merkle tree;
    struct dep_audit_place last;
    unsigned char last_leaf[DEP_SHA256_LEN];
};

static void put_hash(struct dep_json_writer *writer, const unsigned char hash[DEP_SHA256_LEN])
{
    char text[DEP_B64_ENCODED(DEP_SHA256_LEN)];
    struct dep_buf buf;

    dep_buf_init(&buf, text, sizeof(text));
    dep_b64url_put(&buf, hash, DEP_SHA256_LEN);
    dep_json_put_str(writer, dep_buf_str(&buf));
}

struct dep_res dep_audit_state_write(struct dep_audit_log *log)
{
    char text[STATE_MAX];
    struct dep_json_writer writer;
    struct dep_buf buf;

    dep_buf_init(&buf, text, sizeof(text));
    dep_json_begin(&writer, &buf);
    dep_json_open(&writer, '{');
    dep_json_member_int(&writer, "size", (int64_t)log->tree.size);
    dep_json_member_int(&writer, "segment", (int64_t)log->last.segment);
    dep_json_member_int(&writer, "offset", (int64_t)log->last.offset);
    dep_json_member_int(&writer, "before", (int64_t)log->last.before);
    dep_json_name(&writer, "last");
    put_hash(&writer, log->last_leaf);
    dep_json_name(&writer, "heads");
    dep_json_open(&writer, '[');
    for (unsigned i = 0; i < log->tree.count; i++)
        put_hash(&writer, log->tree.heads[i]);
    dep_json_close(&writer, ']');
    dep_json_close(&writer, '}');
    dep_buf_put_char(&buf, '\n');
    if (buf.has_failed)
        return DEP_FAIL(BUF_FULL);
    return dep_file_replace(log->directory_fd, "state", DEP_AUDIT_PRIVATE_MODE, dep_buf_str(&buf));
}

static struct dep_res get_number(const struct dep_json *json, struct dep_str name, uint64_t *ret_number)
{
    int64_t number;

    DEP_TRY(dep_json_int(dep_json_get(json, name), 0, INT64_MAX, &number));
    *ret_number = (uint64_t)number;
    return DEP_OK;
}

static struct dep_res get_hash(const struct dep_json *value, unsigned char ret_hash[DEP_SHA256_LEN])
{
    struct dep_str text;

    DEP_TRY(dep_json_str(value, &text));
    return dep_b64url_decode_exact(text, ret_hash, DEP_SHA256_LEN);
}

static struct dep_res parse(struct dep_arena *arena, struct dep_str text, struct state *ret_state)
{
    const struct dep_json *heads;
    struct dep_json *json;

    DEP_TRY(dep_json_parse(arena, text, 3, &json));
    DEP_TRY(get_number(json, DEP_STR("size"), &ret_state->tree.size));
    DEP_TRY(get_number(json, DEP_STR("segment"), &ret_state->last.segment));
    DEP_TRY(get_number(json, DEP_STR("offset"), &ret_state->last.offset));
    DEP_TRY(get_number(json, DEP_STR("before"), &ret_state->last.before));
    DEP_TRY(get_hash(DEP_JSON_GET(json, "last"), ret_state->last_leaf));
    heads = DEP_JSON_GET(json, "heads");
    if (heads == NULL || heads->type != DEP_JSON_ARRAY || ret_state->tree.size == 0 || ret_state->last.offset == 0 ||
        heads->count != (size_t)__builtin_popcountll(ret_state->tree.size))
        return DEP_FAIL(AUDIT_SYNTAX);
    for (heads = heads->child; heads != NULL; heads = heads->next)
        DEP_TRY(get_hash(heads, ret_state->tree.heads[ret_state->tree.count++]));
    return DEP_OK;
}

static struct dep_res load(const struct dep_audit_log *log, struct state *ret_state)
{
    void *memory = calloc(1, STATE_ARENA);
    struct dep_res res = DEP_FAIL(AUDIT_SYNTAX);
    struct dep_str text = DEP_STR_ABSENT;
    struct dep_arena arena;

    if (memory == NULL)
        return DEP_FAIL(AUDIT_IO);
    dep_arena_init(&arena, memory, STATE_ARENA);
    memset(ret_state, 0, sizeof(*ret_state));
    if (dep_is_ok(dep_file_read(log->directory_fd, "state", STATE_MAX, &text, NULL)) && text.len > 0)
        res = parse(&arena, text, ret_state);
    dep_file_release(&text);
    free(memory);
    return res;
}

/* From an open segment: the bytes before `offset` back to the newline before. */
static struct dep_res read_back(int fd, uint64_t offset, struct dep_str *ret_line)
{
    size_t len = offset > DEP_AUDIT_LINE_MAX + 2 ? DEP_AUDIT_LINE_MAX + 2 : (size_t)offset;
    char *bytes = malloc(len + 1);
    const char *newline;

    if (bytes == NULL)
        return DEP_FAIL(AUDIT_IO);
    if (len < 2 || pread(fd, bytes, len, (off_t)(offset - len)) != (ssize_t)len || bytes[len - 1] != '\n') {
        free(bytes);
        return DEP_FAIL(AUDIT_SYNTAX);
    }
    newline = memrchr(bytes, '\n', len - 1);
    if (newline == NULL && len < offset) {
        free(bytes);
        return DEP_FAIL(AUDIT_SYNTAX);
    }

    size_t from = newline == NULL ? 0 : (size_t)(newline - bytes) + 1;

    memmove(bytes, bytes + from, len - 1 - from);
    *ret_line = dep_str(bytes, len - 1 - from);
    return DEP_OK;
}

struct dep_res dep_audit_read_before(const struct dep_audit_log *log, struct dep_audit_place place,
                                     struct dep_str *ret_line)
{
    char name[DEP_SEGMENT_NAME_MAX];
    struct dep_res res;
    int fd;

    dep_segment_name(name, place.segment);
    fd = openat(log->log_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return DEP_FAIL(AUDIT_IO);
    res = read_back(fd, place.offset, ret_line);
    close(fd);
    return res;
}

static bool is_leaf_in_place(const struct dep_audit_log *log, const struct state *state)
{
    unsigned char leaf[DEP_SHA256_LEN];
    struct dep_str line;

    if (!dep_is_ok(dep_audit_read_before(log, state->last, &line)))
        return false;
    dep_merkle_leaf(log->crypto, line, leaf);
    dep_file_release(&line);
    if (memcmp(leaf, state->last_leaf, sizeof(leaf)) != 0)
        return false;
    return pread(log->leaves_fd, leaf, sizeof(leaf), (off_t)((state->tree.size - 1) * sizeof(leaf))) == sizeof(leaf) &&
           memcmp(leaf, state->last_leaf, sizeof(leaf)) == 0;
}

bool dep_audit_state_read(struct dep_audit_log *log, const struct dep_segments *segments)
{
    unsigned char root[DEP_SHA256_LEN];
    struct state state;
    uint64_t before = 0;

    if (!log->has_checkpoint || !dep_is_ok(load(log, &state)) || state.tree.size > log->signed_size)
        return false;
    dep_merkle_root(&state.tree, log->crypto, root);
    if (state.tree.size == log->signed_size && memcmp(root, log->signed_root, sizeof(root)) != 0)
        return false;
    if (!dep_is_ok(dep_segments_bytes(log->log_fd, segments, state.last.segment, &before)) ||
        before != state.last.before)
        return false;
    if (!is_leaf_in_place(log, &state))
        return false;
    log->tree = state.tree;
    log->last = state.last;
    memcpy(log->last_leaf, state.last_leaf, sizeof(log->last_leaf));
    return true;
}
