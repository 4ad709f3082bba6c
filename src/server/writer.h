/* The writer: one thread that commits what all workers hand over. State changes in transactions, audit records in one append and one
 * fdatasync for everything that gathered while the last commit ran, then the answers. So the cost of durability is shared, and
 * no answer leaves before its record is safe.
 *
 * Invariants:
 *  (1) A job is answered exactly once, by the writer, after its changes and its record are durable, or with 503.
 *  (2) Only this thread touches the store and makes snapshots. */
#ifndef DEP_SERVER_WRITER_H
#define DEP_SERVER_WRITER_H

#include "audit/log.h"
#include "net/server.h"
#include "store/ledger.h"
#include "store/store.h"

/* A write that happens once: what the ledger is told when it has ended. Changes that stand and their record: complete; changes that
 * did not stand: abandon; changes without a record, which were answered with 503: lose. */
struct dep_job_once {
    struct dep_ledger *ledger; /* NULL: an ordinary job */
    unsigned char scope[DEP_IDEMPOTENCY_NAME_LEN];
    int64_t ticket;
    struct dep_str answer; /* sealed; absent: not to be kept */
};

/* Work for the writer, in one block of memory with all it points to: made by dep_job_new(), taken by dep_writer_push(). */
struct dep_job {
    struct dep_job *next;
    struct dep_net_exchange *exchange;
    struct dep_audit_line line;
    struct dep_change *changes;
    size_t changes_count;
    int status;
    struct dep_header headers[8];
    size_t headers_count;
    struct dep_str body;
    struct dep_job_once once;
    struct dep_str id;  /* the decision's */
    enum dep_err stale; /* what a precondition that failed is answered with; DEP_ERR_NONE: as the store says it */
    bool is_problem;    /* failures are answered as problem details, not as OAuth errors */
    struct dep_res res; /* of its own changes */
    size_t used;
    size_t size;
};

/* Copies the changes, and has `bytes` of room for the texts that dep_job_text() copies in beside the changes' own. NULL when out of
 * memory. */
struct dep_job *dep_job_new(const struct dep_change *changes, size_t changes_count, size_t bytes);
struct dep_str dep_job_text(struct dep_job *job, struct dep_str text);
void dep_job_free(struct dep_job *job);

struct dep_writer;
struct dep_writer_config {
    struct dep_store *store;
    struct dep_audit_log *log;
    /* Called on the writer thread after a job's changes are durable, before it is answered: makes the new snapshot. */
    void (*publish)(void *context, const struct dep_change *changes, size_t count);
    /* Called on the writer thread now and then, at least once a second. */
    void (*tick)(void *context);
    void *context;
    size_t waiting_max; /* beyond: dep_writer_push() refuses */
};

DEP_MUST struct dep_res dep_writer_start(const struct dep_writer_config *config, struct dep_writer **ret_writer);
/* Takes the job. DEP_ERR_OVERLOADED or DEP_ERR_SHUTTING_DOWN: the job stays the caller's, and so does its exchange. */
DEP_MUST struct dep_res dep_writer_push(struct dep_writer *writer, struct dep_job *job);
/* Commits and answers everything that waits, writes a checkpoint, ends the thread. */
void dep_writer_stop(struct dep_writer *writer);
uint64_t dep_writer_commits(const struct dep_writer *writer);
uint64_t dep_writer_records(const struct dep_writer *writer);

#endif
