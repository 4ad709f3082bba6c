/* The guard's own audit log: one writer thread, one append and one fdatasync for whatever has gathered.
 *
 * Invariants:
 *  (1) A refusal's record is safe before its answer leaves: the answer travels with the record.
 *  (2) An allow's record is appended within DEP_JOURNAL_DELAY_MS, without keeping the answer (docs/adr: guard allow
 *      records). When the log cannot be written or does not keep up, the guard stops allowing. Lines of answers that
 *      have left are tried again until they are written.
 *  (3) Memory is bounded: DEP_JOURNAL_BYTES_MAX of lines that wait. */
#ifndef DEP_AUDIT_JOURNAL_H
#define DEP_AUDIT_JOURNAL_H

#include "audit/log.h"

#define DEP_JOURNAL_DELAY_MS 20
#define DEP_JOURNAL_BYTES_MAX (16u * 1024u * 1024u)

struct dep_journal;

/* Something that waits for a record; the first member of whatever carries it. `done` is called once, on the writer
 * thread. */
struct dep_journal_waiter {
    struct dep_journal_waiter *next;
    void (*done)(struct dep_journal_waiter *waiter, bool is_written);
};

/* Opens the log in `directory` (mode 0700), with its own checkpoint key (0600; a looser one is refused), and starts the
 * thread. */
DEP_MUST struct dep_res dep_journal_new(const char *directory, struct dep_str origin, struct dep_journal **ret_journal);
/* Writes what waits, closes the log. */
void dep_journal_free(struct dep_journal *journal);

/* One line without newline, copied. With a waiter the writer starts at once and calls it afterwards; the call takes the
 * waiter only when it returns DEP_OK. DEP_ERR_AUDIT_IO while the log is broken, DEP_ERR_OVERLOADED when too much waits.
 * */
DEP_MUST struct dep_res dep_journal_add(struct dep_journal *journal, struct dep_str line,
                                        struct dep_journal_waiter *waiter);
/* True after a failed append until one has worked, and while too much waits. */
bool dep_journal_is_broken(struct dep_journal *journal);
/* Time of the last record found at the start, 0 when there was none. */
int64_t dep_journal_last_time(const struct dep_journal *journal);

#endif
