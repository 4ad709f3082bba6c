/* The shared cache of verified tokens. */
#include "guard/seen_region.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/unit.h"

#define NOW INT64_C(1800000000)
#define BYTES (1024u * 1024u)

struct world {
    void *memory;
    struct dep_seen_region *region;
    unsigned char space[65536];
    struct dep_arena arena;
};

static void set_up(struct world *w)
{
    w->memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    DEP_ASSERT(w->memory != MAP_FAILED);
    w->region = dep_seen_region_init(w->memory, BYTES);
    DEP_ASSERT(w->region != NULL);
    dep_arena_init(&w->arena, w->space, sizeof(w->space));
}

static void digest_of(uint64_t number, unsigned char ret_digest[DEP_SHA256_LEN])
{
    memset(ret_digest, 0, DEP_SHA256_LEN);
    memcpy(ret_digest, &number, sizeof(number));
}

static struct dep_token token_of(struct dep_str sub, int64_t exp)
{
    return (struct dep_token){ .iss = DEP_STR("https://as.example"),
                               .sub = sub,
                               .client_id = DEP_STR("C"),
                               .jti = DEP_STR("J"),
                               .aud = { DEP_STR("https://api.example") },
                               .aud_count = 1,
                               .scope = DEP_STR(""),
                               .actors = { DEP_STR("agent:S"), DEP_STR("agent:O") },
                               .actors_count = 2,
                               .exp = exp };
}

static struct dep_token *find(struct world *w, uint64_t number, uint64_t tag, int64_t now)
{
    unsigned char digest[DEP_SHA256_LEN], name[DEP_SHA256_LEN];

    digest_of(number, digest);
    digest_of(tag, name);
    return dep_seen_region_find(w->region, digest, name, now, &w->arena);
}

static bool put(struct world *w, uint64_t number, uint64_t tag, const struct dep_token *token)
{
    unsigned char digest[DEP_SHA256_LEN], name[DEP_SHA256_LEN];

    digest_of(number, digest);
    digest_of(tag, name);
    return dep_seen_region_put(w->region, digest, name, NOW, token);
}

DEP_TEST(another_process_finds_a_copy)
{
    struct world w;
    struct dep_token token;
    int status;

    set_up(&w);
    DEP_CHECK(t, find(&w, 1, 1, NOW) == NULL);
    if (fork() == 0) {
        char sub[] = "agent:A", x5t[] = "thumb"; /* on the child's stack only */

        token = token_of(dep_str(sub, 7), NOW + 10);
        token.x5t = dep_str(x5t, 5);
        put(&w, 1, 1, &token);
        _exit(0);
    }
    DEP_CHECK(t, wait(&status) > 0);

    const struct dep_token *found = find(&w, 1, 1, NOW);

    DEP_CHECK(t, found != NULL);
    if (found != NULL) {
        DEP_CHECK_STR(t, found->sub, "agent:A");
        DEP_CHECK_STR(t, found->actors[1], "agent:O");
        DEP_CHECK(t, !dep_str_is_absent(found->scope) && dep_str_is_absent(found->jkt));
        DEP_CHECK_STR(t, found->x5t, "thumb");
    }
    munmap(w.memory, BYTES);
}

/* A token that was good for one resource, or under keys that are gone, is not good for another. */
DEP_TEST(O02_A68_an_entry_is_for_its_tag_and_until_exp)
{
    struct world w;
    struct dep_token token = token_of(DEP_STR("agent:A"), NOW + 10);

    set_up(&w);
    put(&w, 1, 1, &token);
    DEP_CHECK(t, find(&w, 1, 2, NOW) == NULL);
    DEP_CHECK(t, find(&w, 2, 1, NOW) == NULL);
    DEP_CHECK(t, find(&w, 1, 1, NOW + 9) != NULL);
    DEP_CHECK(t, find(&w, 1, 1, NOW + 10) == NULL);
    munmap(w.memory, BYTES);
}

DEP_TEST(bounded_and_the_newest_stay)
{
    struct world w;
    struct dep_token token = token_of(DEP_STR("agent:A"), NOW + 10);
    char long_text[4096] = { 0 };

    set_up(&w);
    for (uint64_t i = 1; i <= 10000; i++)
        put(&w, i, 1, &token);
    DEP_CHECK(t, find(&w, 10000, 1, NOW) != NULL);
    DEP_CHECK(t, find(&w, 1, 1, NOW) == NULL);
    token.scope = dep_str(long_text, sizeof(long_text));
    DEP_CHECK(t, !put(&w, 20000, 1, &token));
    DEP_CHECK(t, find(&w, 20000, 1, NOW) == NULL);
    DEP_CHECK(t, dep_seen_region_init(w.memory, 4096) == NULL);
    munmap(w.memory, BYTES);
}

DEP_TEST(a_killed_process_blocks_nobody)
{
    struct world w;
    struct dep_token token = token_of(DEP_STR("agent:A"), NOW + 10);
    atomic_uint *done;

    set_up(&w);
    done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    DEP_ASSERT(done != MAP_FAILED);
    for (unsigned round = 0; round < 50; round++) {
        pid_t child;
        int status;

        atomic_store(done, 0);
        child = fork();
        if (child == 0)
            for (;;) {
                put(&w, 1, 1, &token);
                atomic_fetch_add(done, 1);
            }
        while (atomic_load(done) < 100)
            sched_yield();
        kill(child, SIGKILL);
        DEP_CHECK(t, waitpid(child, &status, 0) == child);
        put(&w, 1, 1, &token);

        const struct dep_token *found = find(&w, 1, 1, NOW);

        DEP_CHECK(t, found != NULL);
        if (found != NULL)
            DEP_CHECK_STR(t, found->sub, "agent:A");
        dep_arena_reset(&w.arena);
    }
    munmap(done, 4096);
    munmap(w.memory, BYTES);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(another_process_finds_a_copy),
        DEP_ROW(O02_A68_an_entry_is_for_its_tag_and_until_exp),
        DEP_ROW(bounded_and_the_newest_stay),
        DEP_ROW(a_killed_process_blocks_nobody),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}
