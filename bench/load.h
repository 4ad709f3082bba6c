/* The load generator: requests are made before the clock starts, then sent over keep-alive connections, one in flight on each. */
#ifndef DEP_BENCH_LOAD_H
#define DEP_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define LOAD_HEADERS_MAX 16u
#define LOAD_CONNECTIONS_MAX 1024u
#define LOAD_JTI_MAX 63u

/* What the command line says. Absent text: not asked for. */
struct load_options {
    struct dep_str tcp_host; /* "127.0.0.1" */
    unsigned tcp_port;
    struct dep_str unix_path;
    struct dep_str method, path, body;
    struct dep_str headers[LOAD_HEADERS_MAX];
    size_t headers_count;
    struct dep_str *tokens; /* one per request, in turn; sent as Authorization with `scheme` */
    size_t tokens_count;
    struct dep_str scheme;
    struct dep_str dpop_htu, dpop_method; /* a fresh proof per request */
    struct dep_str key_file;              /* the proofs' key; absent: `keys` new ones */
    unsigned keys;
    bool learns_nonce;
    struct dep_str assertion_client, assertion_audience; /* a fresh client assertion per request */
    struct dep_str assertion_key_file;
    unsigned connections;
    uint64_t requests; /* counted ones; 0: bounded by `seconds` */
    unsigned seconds;
    uint64_t warmup;       /* requests before the clock starts */
    unsigned server_pid;   /* to tell its work from that of others; 0: not known */
    int cpu;               /* -1: not pinned */
    bool is_distinct;      /* every access token must have a jti of its own */
    const char *save_file; /* access tokens, one a line */
};

struct load_message {
    char *bytes;
    size_t len;
};

struct load_messages {
    struct load_message *items;
    size_t count;
    bool is_single_use; /* proofs and assertions: each may be sent once */
};

/* Makes all messages, or prints why not and returns false. */
bool load_make(const struct load_options *options, struct dep_str nonce, struct load_messages *ret_messages);
/* One request without credentials of its own, to learn a nonce from. */
bool load_make_probe(const struct load_options *options, struct load_message *ret_message);
void load_messages_free(struct load_messages *messages);
/* Writes a new P-256 key to `file` (mode 0600) and prints its public JWK Set. */
bool load_new_key(const char *file);

/* An answer as far as it has been read. `bytes` 0: not complete yet. */
struct load_answer {
    size_t bytes; /* head and body together */
    int status;
    struct dep_str head, body;
    bool is_broken; /* not a message that this reader takes: no Content-Length, no HTTP/1.1 */
    bool closes;
};
void load_answer_read(struct dep_str received, struct load_answer *ret_answer);
/* The value of a header, absent when there is none. */
struct dep_str load_answer_header(struct dep_str head, const char *name);
/* The access token of a JSON answer; absent when there is none. */
struct dep_str load_answer_token(struct dep_str body);
/* The jti of a JWT, into `ret_jti` with a NUL; false when there is none. */
bool load_token_jti(struct dep_str token, char ret_jti[LOAD_JTI_MAX + 1]);

/* Latencies by microsecond up to a second. */
#define LOAD_BUCKETS 1000001u

struct load_result {
    uint64_t good, bad; /* counted answers with and without status 200 or 204 */
    uint64_t statuses[600];
    uint64_t broken; /* connections that ended or answers that could not be read; they count as bad too */
    double seconds;
    double others_percent; /* of one core */
    uint32_t *latency_us;  /* LOAD_BUCKETS counts */
    char first_bad[512];   /* the first answer that was not good, for the report */
    char (*jtis)[LOAD_JTI_MAX + 1];
    uint64_t jtis_count, jtis_max;
    uint64_t lost_jtis; /* answers without one */
};

/* Processor time: of everybody, and of the server and us. */
struct load_ticks {
    uint64_t busy, ours;
};
void load_ticks_read(unsigned pid, struct load_ticks *ret_ticks);
double load_others_percent(const struct load_ticks *before, const struct load_ticks *after, double seconds);

/* A blocking connection to the target; -1 with a message when it cannot be had. */
int load_connect(const struct load_options *options);
/* Runs; false when it could not. */
bool load_run(const struct load_options *options, const struct load_messages *messages, struct load_result *ret_result);
/* Sends one message and reads one answer into `buffer`. */
bool load_once(const struct load_options *options, const struct load_message *message, char *buffer, size_t size,
               struct load_answer *ret_answer);

#endif
