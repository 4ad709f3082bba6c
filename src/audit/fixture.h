/* For the tests of this folder: a log in a directory of its own, records, and a look at its files. */
#ifndef DEP_AUDIT_FIXTURE_H
#define DEP_AUDIT_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/log.h"
#include "audit/read.h"
#include "test/unit.h"

struct fixture {
    char directory[64];
    struct dep_crypto *crypto;
    struct dep_private_key *key;
    struct dep_audit_log *log;
    int64_t segment_bytes_max;
};

static inline struct dep_audit_config fixture_config(const struct fixture *f)
{
    return (struct dep_audit_config){ .directory = f->directory,
                                      .origin = DEP_STR("deputy/as.example.org"),
                                      .key = f->key,
                                      .segment_bytes_max = f->segment_bytes_max };
}

static inline struct dep_res fixture_open(struct fixture *f)
{
    struct dep_audit_config config = fixture_config(f);

    return dep_audit_open(&config, &f->log);
}

static inline void fixture_close(struct fixture *f)
{
    dep_audit_close(f->log);
    f->log = NULL;
}

static inline void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    (void)snprintf(f->directory, sizeof(f->directory), "/tmp/deputy-audit-XXXXXX");
    DEP_ASSERT(mkdtemp(f->directory) != NULL);
    f->segment_bytes_max = 1000;
    f->crypto = dep_crypto_new();
    DEP_ASSERT(dep_is_ok(dep_private_key_new(DEP_ALG_ED25519, &f->key)));
}

static void remove_files(const char *folder)
{
    DIR *list = opendir(folder);
    struct dirent *file;
    char path[1024];

    while (list != NULL && (file = readdir(list)) != NULL) {
        if (strcmp(file->d_name, ".") == 0 || strcmp(file->d_name, "..") == 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, file->d_name);
        if (file->d_type == DT_DIR)
            remove_files(path);
        else
            DEP_ASSERT(unlink(path) == 0);
    }
    if (list != NULL)
        closedir(list);
    DEP_ASSERT(rmdir(folder) == 0);
}

static inline void fixture_done(struct fixture *f)
{
    fixture_close(f);
    remove_files(f->directory);
    dep_private_key_free(f->key);
    dep_crypto_free(f->crypto);
}

static inline void fixture_path(const struct fixture *f, const char *name, char ret_path[256])
{
    (void)snprintf(ret_path, 256, "%s/%s", f->directory, name);
}

/* What record `index` says. */
static inline void record_text(uint64_t index, char ret_text[128])
{
    (void)snprintf(
        ret_text, 128,
        "{\"ts\":%llu,\"id\":\"D%llu\",\"event\":\"token.issued\",\"outcome\":\"allow\",\"aud\":[\"u:%llu\"]}",
        1700000000ull + (unsigned long long)index, (unsigned long long)index, (unsigned long long)index % 3);
}

/* Appends the next `count` records in one batch. */
static inline struct dep_res fixture_append(struct fixture *f, size_t count)
{
    struct dep_audit_line *lines = calloc(count, sizeof(*lines));
    char(*texts)[128] = calloc(count, sizeof(*texts));
    uint64_t first = dep_audit_size(f->log), told = UINT64_MAX;
    struct dep_res res;

    DEP_ASSERT(lines != NULL && texts != NULL);
    for (size_t i = 0; i < count; i++) {
        record_text(first + i, texts[i]);
        lines[i].json = dep_str_c(texts[i]);
        dep_merkle_leaf(f->crypto, lines[i].json, lines[i].leaf);
    }
    res = dep_audit_append(f->log, lines, count, &told);
    DEP_ASSERT(!dep_is_ok(res) || told == first);
    free(lines);
    free(texts);
    return res;
}

struct counted {
    uint64_t from, count;
    bool is_good;
};

static inline bool count_record(void *context, const struct dep_audit_entry *entry)
{
    struct counted *counted = context;
    char wanted[128];

    record_text(entry->index, wanted);
    counted->is_good =
        counted->is_good && entry->index == counted->from + counted->count && dep_str_eq_c(entry->line, wanted);
    counted->count++;
    return true;
}

/* How many records there are; UINT64_MAX when one of them is not what it was. */
static inline uint64_t fixture_count(const struct fixture *f)
{
    struct counted counted = { .is_good = true };
    struct dep_res res = dep_audit_walk(f->directory, 0, count_record, &counted);

    return dep_is_ok(res) && counted.is_good ? counted.count : UINT64_MAX;
}

/* A whole file, with room for one more line; the caller frees. */
static inline char *fixture_read(const struct fixture *f, const char *name, size_t *ret_len)
{
    char path[256];
    char *bytes = calloc(1, 1 << 20);
    FILE *file;

    fixture_path(f, name, path);
    file = fopen(path, "r");
    DEP_ASSERT(file != NULL && bytes != NULL);
    *ret_len = fread(bytes, 1, 1 << 20, file);
    (void)fclose(file);
    return bytes;
}

static inline void fixture_write(const struct fixture *f, const char *name, const char *bytes, size_t len)
{
    char path[256];
    FILE *file;

    fixture_path(f, name, path);
    file = fopen(path, "w");
    DEP_ASSERT(file != NULL && fwrite(bytes, 1, len, file) == len && fclose(file) == 0);
}

static inline bool fixture_has(const struct fixture *f, const char *name)
{
    char path[256];

    fixture_path(f, name, path);
    return access(path, F_OK) == 0;
}

static inline struct dep_audit_report fixture_verify(const struct fixture *f)
{
    struct dep_audit_report report = { .is_intact = false };
    struct dep_res res = dep_audit_verify(f->directory, DEP_STR_ABSENT, &report);

    if (!dep_is_ok(res))
        (void)snprintf(report.detail, sizeof(report.detail), "%s", dep_err_name(res.err));
    return report;
}

#endif
