/* Writes that happen once, through the C API: the rules of proto/idempotency.h over the ledger of store/ledger.h. Keys are named as the
 * nginx module names them, so that both may share a ledger. */
#include <deputy/idempotency.h>

#include <stdlib.h>
#include <string.h>

#include "lib/handle.h"
#include "lib/verdict.h"
#include "proto/idempotency_answer.h"
#include "proto/wire.h"
#include "store/ledger.h"

#define ARENA_BYTES (256u * 1024u)
#define HEADERS_MAX (DEP_IDEMPOTENCY_HEADERS_MAX + 2)
#define NUMBER_MAX 24u
#define SWEEP_S 60
#define SWEEP_MAX 256

struct deputy_ledger {
    struct dep_ledger *ledger;
    unsigned char *secret;
    size_t secret_len;
    atomic_int_fast64_t swept; /* Unix seconds */
};

struct deputy_write {
    struct deputy_ledger *ledger;
    bool is_static;
    bool is_begun; /* and has not ended */
    enum deputy_write_reason reason;
    struct dep_idempotency_names names;
    int64_t ticket;
    int status;
    struct deputy_header headers[HEADERS_MAX];
    size_t headers_count;
    struct deputy_text body;
    char retention[NUMBER_MAX];
    void *memory; /* of the texts above */
};

#define TEXT(literal)                      \
    {                                      \
        "" literal "", sizeof(literal) - 1 \
    }
/* For when there is no memory to say more. */
static const struct deputy_write trouble = {
    .is_static = true,
    .reason = DEPUTY_WRITE_REFUSED,
    .status = 503,
    .headers = { { TEXT("Content-Type"), TEXT("application/problem+json") }, { TEXT("Retry-After"), TEXT("1") } },
    .headers_count = 2,
    .body = TEXT("{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503}"),
};

static struct deputy_write *out_of_memory(void)
{
    /* Nothing writes to it: every function that ends a write passes it over. */
    union {
        const struct deputy_write *constant;
        struct deputy_write *plain;
    } one = { .constant = &trouble };

    return one.plain;
}

static struct dep_str str_of(struct deputy_text text)
{
    return dep_str(text.ptr, text.len);
}

static struct deputy_text text_of(struct dep_str text)
{
    return (struct deputy_text){ text.ptr, text.len };
}

/* Where the caller has a number, it. False: it is none. */
static bool take_limit(int64_t said, int64_t *limit)
{
    if (said > 0)
        *limit = said;
    return said >= 0;
}

enum deputy_result deputy_ledger_open(const char *path, const void *secret, size_t secret_len,
                                      struct deputy_ledger **ret_ledger)
{
    const struct deputy_ledger_limits limits = { .size = sizeof(limits) };

    return deputy_ledger_open_limited(path, secret, secret_len, &limits, ret_ledger);
}

enum deputy_result deputy_ledger_open_limited(const char *path, const void *secret, size_t secret_len,
                                              const struct deputy_ledger_limits *said,
                                              struct deputy_ledger **ret_ledger)
{
    struct dep_ledger_limits limits = dep_ledger_limits_default();
    struct deputy_ledger *ledger;

    if (ret_ledger != NULL)
        *ret_ledger = NULL;
    if (path == NULL || ret_ledger == NULL || (secret == NULL) != (secret_len == 0) || said == NULL ||
        said->size < sizeof(*said))
        return DEPUTY_ERR_ARGUMENT;
    if (!take_limit(said->entries_max, &limits.entries_max) ||
        !take_limit(said->caller_entries_max, &limits.caller_entries_max) ||
        !take_limit(said->bytes_max, &limits.bytes_max) || !take_limit(said->retention_s, &limits.retention_s))
        return DEPUTY_ERR_ARGUMENT;
    ledger = calloc(1, sizeof(*ledger));
    if (ledger == NULL)
        return DEPUTY_ERR_MEMORY;
    atomic_init(&ledger->swept, 0);
    if (secret_len > 0) {
        ledger->secret = malloc(secret_len);
        if (ledger->secret == NULL) {
            free(ledger);
            return DEPUTY_ERR_MEMORY;
        }
        memcpy(ledger->secret, secret, secret_len);
        ledger->secret_len = secret_len;
    }
    if (!dep_is_ok(dep_ledger_sqlite_new(path, &limits, &ledger->ledger))) {
        deputy_ledger_close(ledger);
        return DEPUTY_ERR_SYSTEM;
    }
    *ret_ledger = ledger;
    return DEPUTY_OK;
}

void deputy_ledger_close(struct deputy_ledger *ledger)
{
    if (ledger == NULL)
        return;
    if (ledger->ledger != NULL)
        dep_ledger_free(ledger->ledger);
    if (ledger->secret != NULL)
        dep_wipe(ledger->secret, ledger->secret_len);
    free(ledger->secret);
    free(ledger);
}

/* Once a minute somebody forgets what is over. */
static void sweep(struct deputy_ledger *ledger, int64_t now)
{
    int_fast64_t swept = atomic_load(&ledger->swept);
    int count;

    if (now - swept >= SWEEP_S && atomic_compare_exchange_strong(&ledger->swept, &swept, now))
        (void)dep_is_ok(dep_ledger_expire(ledger->ledger, now, SWEEP_MAX, &count));
}

/* ------------------------------------------------------------------------------------------------- beginning */

struct beginning {
    const struct deputy_write_request *request;
    struct deputy_write *write;
    struct dep_arena arena;
    struct dep_idempotency_policy policy;
    struct dep_str key;
    int64_t now;
};

static void add_header(struct deputy_write *write, struct dep_str name, struct dep_str value)
{
    DEP_ASSERT(write->headers_count < HEADERS_MAX);
    write->headers[write->headers_count++] = (struct deputy_header){ text_of(name), text_of(value) };
}

static enum deputy_write_reason reason_of(enum dep_class class)
{
    if (class == DEP_CLASS_IN_FLIGHT)
        return DEPUTY_WRITE_IN_FLIGHT;
    if (class == DEP_CLASS_KEY_REUSED)
        return DEPUTY_WRITE_MISMATCH;
    if (class == DEP_CLASS_OUTCOME_UNKNOWN || class == DEP_CLASS_ANSWER_NOT_KEPT)
        return DEPUTY_WRITE_UNKNOWN;
    return DEPUTY_WRITE_REFUSED;
}

/* A refusal that is a whole answer. */
static void refuse(struct beginning *b, enum dep_err reason)
{
    struct deputy_write *write = b->write;
    struct dep_wire_answer answer;

    if (reason == DEP_ERR_ARENA_FULL) /* what is kept fits: it is this machine that has no room */
        reason = DEP_ERR_OVERLOADED;
    write->reason = reason_of(dep_err_class(reason));
    if (!dep_is_ok(dep_wire_problem(&b->arena, reason, DEP_STR_ABSENT, DEP_STR_ABSENT, &answer))) {
        write->status = trouble.status;
        write->body = trouble.body;
        return;
    }
    write->status = answer.status;
    write->body = text_of(answer.body);
    for (size_t i = 0; i < answer.headers_count; i++)
        add_header(write, answer.headers[i].name, answer.headers[i].value);
}

static struct dep_res take_key(struct beginning *b)
{
    const struct deputy_write_request *request = b->request;
    struct dep_header headers[2]; /* two are enough to be refused as two */
    size_t count = 0;

    for (size_t i = 0; i < request->headers_count && count < 2; i++)
        if (dep_str_eq_nocase(str_of(request->headers[i].name), DEP_IDEMPOTENCY_HEADER))
            headers[count++] =
                (struct dep_header){ str_of(request->headers[i].name), str_of(request->headers[i].value) };
    return dep_idempotency_key(&b->arena, &b->policy, headers, count, &b->key);
}

static struct dep_str content_type_of(const struct deputy_write_request *request)
{
    for (size_t i = 0; i < request->headers_count; i++)
        if (dep_str_eq_nocase(str_of(request->headers[i].name), DEP_STR("content-type")))
            return str_of(request->headers[i].value);
    return DEP_STR_ABSENT;
}

static struct dep_res name_write(struct beginning *b)
{
    const struct deputy_write_request *request = b->request;
    const struct deputy_verdict *verdict = request->verdict;
    struct dep_crypto *crypto;
    struct dep_res res;

    if (verdict == NULL || !verdict->is_allowed)
        return DEP_FAIL(IDEMPOTENCY_CALLER);

    const struct dep_idempotency_request what = {
        .realm = dep_config_text(verdict->guard->config, DEP_SETTING_RESOURCE),
        .tenant = dep_config_text(verdict->guard->config, DEP_SETTING_ISSUER),
        .principal = str_of(verdict->identity[0].value),
        .client = str_of(verdict->identity[1].value),
        .chain = str_of(verdict->identity[3].value),
        .key = b->key,
        .method = str_of(request->method),
        .target = str_of(request->target),
        .content_type = content_type_of(request),
        .body = request->body.ptr == NULL ? DEP_STR("") : str_of(request->body),
    };

    crypto = dep_crypto_new();
    if (crypto == NULL)
        return DEP_FAIL(ARENA_FULL);
    res = dep_idempotency_name(crypto, &b->policy, &what, &b->write->names);
    dep_crypto_free(crypto);
    return res;
}

static void tell_retention(struct beginning *b, bool is_replay)
{
    struct deputy_write *write = b->write;
    struct dep_buf number;

    dep_buf_init(&number, write->retention, sizeof(write->retention) - 1);
    dep_buf_put_int(&number, b->policy.retention_s);
    add_header(write, DEP_IDEMPOTENCY_RETENTION, dep_buf_str(&number));
    if (is_replay)
        add_header(write, DEP_IDEMPOTENCY_REPLAYED, DEP_STR("true"));
}

static struct dep_res replay(struct beginning *b, struct dep_str sealed)
{
    struct dep_idempotency_answer answer;
    struct deputy_write *write = b->write;

    DEP_TRY(dep_idempotency_answer_open(&b->arena, &write->names, sealed, &answer));
    write->reason = DEPUTY_WRITE_REPLAYED;
    write->status = answer.status;
    write->body = text_of(answer.body);
    for (size_t i = 0; i < answer.headers_count; i++)
        add_header(write, answer.headers[i].name, answer.headers[i].value);
    tell_retention(b, true);
    return DEP_OK;
}

/* DEP_OK: the write says what came of it. */
static struct dep_res begin(struct beginning *b)
{
    struct deputy_write *write = b->write;
    struct dep_idempotency_decision decision;
    struct dep_idempotency_entry entry;

    DEP_TRY(name_write(b));
    sweep(write->ledger, b->now);
    DEP_TRY(dep_ledger_begin(write->ledger->ledger, &write->names, b->now, &b->arena, &entry));
    decision = dep_idempotency_decide(&b->policy, &write->names, &entry, b->now);
    switch (decision.verdict) {
    case DEP_IDEMPOTENCY_RUN:
        write->is_begun = true;
        write->ticket = entry.ticket;
        tell_retention(b, false);
        return DEP_OK;
    case DEP_IDEMPOTENCY_REPLAY:
        return replay(b, entry.answer);
    case DEP_IDEMPOTENCY_REFUSE:
        break;
    }
    return (struct dep_res){ decision.reason };
}

static struct deputy_write *make(struct deputy_ledger *ledger)
{
    struct deputy_write *write = calloc(1, sizeof(*write));

    if (write == NULL)
        return NULL;
    write->ledger = ledger;
    write->memory = calloc(1, ARENA_BYTES);
    if (write->memory == NULL) {
        free(write);
        return NULL;
    }
    return write;
}

static struct dep_idempotency_policy policy_of(const struct deputy_ledger *ledger, unsigned flags)
{
    struct dep_idempotency_policy policy = dep_idempotency_policy_default();

    policy.is_required = (flags & DEPUTY_WRITE_KEY_REQUIRED) != 0;
    policy.is_lenient = (flags & DEPUTY_WRITE_KEY_BARE) != 0;
    policy.secret = dep_secret(ledger->secret, ledger->secret_len);
    return policy;
}

enum deputy_write_outcome deputy_write_begin(struct deputy_ledger *ledger, const struct deputy_write_request *request,
                                             struct deputy_write **ret_write)
{
    struct beginning b = { .request = request, .policy = policy_of(ledger, request->flags), .now = dep_clock_unix() };
    struct dep_res res;

    *ret_write = out_of_memory();
    if (request->size < sizeof(*request) || (b.write = make(ledger)) == NULL)
        return DEPUTY_WRITE_ANSWER;
    dep_arena_init_zero(&b.arena, b.write->memory, ARENA_BYTES);
    res = take_key(&b);
    if (dep_is_ok(res) && dep_str_is_absent(b.key)) {
        deputy_write_free(b.write);
        *ret_write = NULL;
        return DEPUTY_WRITE_NO_KEY;
    }
    if (dep_is_ok(res))
        res = begin(&b);
    if (!dep_is_ok(res))
        refuse(&b, res.err);
    *ret_write = b.write;
    return b.write->is_begun ? DEPUTY_WRITE_RUN : DEPUTY_WRITE_ANSWER;
}

enum deputy_write_reason deputy_write_reason(const struct deputy_write *write)
{
    return write->reason;
}

int deputy_write_status(const struct deputy_write *write)
{
    return write->status;
}

const struct deputy_header *deputy_write_headers(const struct deputy_write *write, size_t *ret_count)
{
    *ret_count = write->headers_count;
    return write->headers;
}

struct deputy_text deputy_write_body(const struct deputy_write *write)
{
    return write->body;
}

/* ------------------------------------------------------------------------------------------------- ending */

/* What of the answer is kept, sealed; absent: only that it was given. */
static struct dep_str seal(struct deputy_write *write, int status, const struct deputy_header *headers,
                           size_t headers_count, struct deputy_text body)
{
    struct dep_idempotency_answer answer = { .status = status, .body = body.ptr == NULL ? DEP_STR("") : str_of(body) };
    struct dep_str sealed;
    struct dep_arena arena;

    if (body.len > DEP_IDEMPOTENCY_BODY_MAX)
        return DEP_STR_ABSENT;
    for (size_t i = 0; i < headers_count; i++)
        if (!dep_idempotency_answer_header(&answer, str_of(headers[i].name), str_of(headers[i].value)))
            return DEP_STR_ABSENT;
    dep_arena_init(&arena, write->memory, ARENA_BYTES);
    if (!dep_is_ok(dep_idempotency_answer_seal(&arena, &write->names, &answer, &sealed)))
        return DEP_STR_ABSENT;
    return sealed;
}

enum deputy_result deputy_write_complete(struct deputy_write *write, int status, const struct deputy_header *headers,
                                         size_t headers_count, struct deputy_text body)
{
    struct dep_res res;

    if (!write->is_begun) {
        deputy_write_free(write);
        return DEPUTY_ERR_ARGUMENT;
    }
    res = dep_ledger_complete(write->ledger->ledger, write->names.scope, write->ticket, status,
                              seal(write, status, headers, headers_count, body));
    write->is_begun = !dep_is_ok(res); /* else it is lost when it is freed */
    deputy_write_free(write);
    return dep_is_ok(res) ? DEPUTY_OK : DEPUTY_ERR_SYSTEM;
}

void deputy_write_abandon(struct deputy_write *write)
{
    if (write->is_begun)
        write->is_begun = !dep_is_ok(dep_ledger_abandon(write->ledger->ledger, write->names.scope, write->ticket));
    deputy_write_free(write);
}

void deputy_write_free(struct deputy_write *write)
{
    if (write == NULL || write->is_static)
        return;
    /* When even this fails, the entry is without an owner once the ledger is closed. */
    if (write->is_begun)
        (void)dep_is_ok(dep_ledger_lose(write->ledger->ledger, write->names.scope, write->ticket));
    dep_wipe(&write->names, sizeof(write->names));
    free(write->memory);
    free(write);
}
