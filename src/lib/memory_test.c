/* Out of memory at every allocation of the library, one after the other: refused, never allowed by mistake, nothing leaks.
 * The linker puts the two functions below in the place of malloc() and calloc(). */
#include <deputy/idempotency.h>

#include <stdlib.h>
#include <unistd.h>

#include "lib/lib_fixture.h"

#define ATTEMPTS_MAX 2000u

static bool is_armed; /* only while the library is called */
static unsigned countdown;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static bool fails_now(void)
{
    return is_armed && countdown > 0 && --countdown == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

struct attempt {
    struct world w;
    char token[2048], directory[64], path[96];
    int status, write_status; /* 0: not even a guard; of the write, 200: it may run */
};

static enum deputy_result configure(struct attempt *a, struct deputy_config *config)
{
    static const char *const settings[][2] = {
        { "resource", RESOURCE }, { "issuer", ISSUER }, { "client", "guard" }, { "scope", "read" }
    };
    enum deputy_result result = deputy_config_set_secret(config, "secret", "se:cret", 7);

    for (size_t i = 0; result == DEPUTY_OK && i < DEP_COUNT(settings); i++)
        result = deputy_config_set(config, settings[i][0], settings[i][1]);
    deputy_config_set_record(config, keep_record, &a->w);
    return result;
}

/* Every fetch is taken and answered; one that cannot be handed out for want of memory is due again. */
static void fetch_all(struct attempt *a)
{
    char body[16384];
    int64_t wait_ms;

    for (unsigned i = 0; i < 8; i++) {
        struct deputy_fetch *fetch = deputy_guard_fetch_next(a->w.guard, &wait_ms);

        if (fetch != NULL) {
            struct dep_str url = dep_str_c(deputy_fetch_url(fetch));
            bool was_armed = is_armed;
            int status;

            is_armed = false; /* the issuer has memory */
            status = issuer_says(&a->w, dep_str_sub(url, strlen(ISSUER), url.len), body, sizeof(body));
            is_armed = was_armed;
            (void)deputy_fetch_answer(fetch, status, body, strlen(body));
        }
    }
}

static void write_once(struct attempt *a, const struct deputy_verdict *verdict, unsigned nth)
{
    struct deputy_ledger *ledger = NULL;
    struct deputy_write *write = NULL;
    char key[16];
    struct deputy_header header = { { "Idempotency-Key", 15 },
                                    { key, (size_t)snprintf(key, sizeof(key), "\"k%u\"", nth) } };
    struct deputy_write_request request = { .size = sizeof(request),
                                            .verdict = verdict,
                                            .method = { "POST", 4 },
                                            .target = { "/pay", 4 },
                                            .headers = &header,
                                            .headers_count = 1 };

    if (deputy_ledger_open(a->path, NULL, 0, &ledger) != DEPUTY_OK)
        return;
    a->write_status = 200;
    if (deputy_write_begin(ledger, &request, &write) == DEPUTY_WRITE_RUN)
        (void)deputy_write_complete(write, 200, NULL, 0, (struct deputy_text){ "paid", 4 });
    else {
        a->write_status = deputy_write_status(write);
        deputy_write_free(write);
    }
    deputy_ledger_close(ledger);
}

static void ask_once(struct attempt *a, unsigned nth)
{
    struct deputy_header header = { { "Authorization", 13 }, { a->token, strlen(a->token) } };
    struct deputy_request request = { .size = sizeof(request),
                                      .method = { "POST", 4 },
                                      .target = { "/mcp", 4 },
                                      .headers = &header,
                                      .headers_count = 1,
                                      .flags = DEPUTY_CHECK_FINAL };
    struct deputy_verdict *verdict = NULL;
    enum deputy_outcome outcome = deputy_guard_check(a->w.guard, &request, &verdict);

    a->status = deputy_verdict_status(verdict);
    DEP_ASSERT((outcome == DEPUTY_ALLOW) == deputy_verdict_is_allowed(verdict));
    if (outcome == DEPUTY_ALLOW)
        write_once(a, verdict, nth);
    deputy_verdict_free(verdict);
}

/* Everything from configuration to write, the nth allocation failing. True when it was reached. */
static bool attempt(struct dep_test *t, struct attempt *a, unsigned nth)
{
    struct deputy_config *config;
    enum deputy_result result = DEPUTY_ERR_MEMORY;

    a->status = a->write_status = 0;
    a->w.guard = NULL;
    countdown = nth;
    is_armed = true;
    config = deputy_config_new();
    if (config != NULL)
        result = configure(a, config);
    if (result == DEPUTY_OK)
        result = deputy_guard_new(config, &a->w.guard);
    DEP_CHECK(t, result == DEPUTY_OK || result == DEPUTY_ERR_MEMORY);
    if (result == DEPUTY_OK) {
        fetch_all(a);
        ask_once(a, nth);
    }
    is_armed = false;
    deputy_guard_free(a->w.guard);
    deputy_config_free(config);
    a->w.guard = NULL;
    return countdown == 0;
}

DEP_TEST(every_allocation_may_fail)
{
    struct attempt *a = calloc(1, sizeof(*a));
    unsigned nth = 0, refused = 0;
    char command[128];
    FILE *pipe;
    bool is_good = true;

    set_up_world(&a->w);
    (void)snprintf(a->token, sizeof(a->token), "Bearer %.*s", DEP_STR_ARG(mint_good(&a->w)));
    (void)snprintf(a->directory, sizeof(a->directory), "/tmp/deputy-lib-test-XXXXXX");
    DEP_ASSERT(mkdtemp(a->directory) != NULL);
    (void)snprintf(a->path, sizeof(a->path), "%s/ledger.db", a->directory);
    while (attempt(t, a, ++nth) && nth < ATTEMPTS_MAX) {
        is_good &= a->status == 0 || a->status == 200 || a->status == 503;
        is_good &= a->status != 200 || a->write_status == 0 || a->write_status == 200 || a->write_status == 503;
        refused += a->status != 200;
    }
    DEP_CHECK(t, is_good);
    DEP_CHECK(t, nth > 20 && refused > 10 && nth < ATTEMPTS_MAX);
    DEP_CHECK(t, a->status == 200 && a->write_status == 200); /* and with memory enough all is well */
    tear_down_world(&a->w);
    (void)snprintf(command, sizeof(command), "rm -r %s", a->directory);
    pipe = popen(command, "r");
    if (pipe != NULL)
        pclose(pipe);
    free(a);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(every_allocation_may_fail),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}
