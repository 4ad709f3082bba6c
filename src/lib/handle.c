/* The life of a guard: made of its configuration, used by many threads, freed once. */
#include "lib/handle.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "guard/rules_file.h"
#include "lib/rules.h"
#include "lib/verdict.h"

#define TEXTS_MAX 65536u
#define RULE_MAX 8192u /* for one rule beside them */
#define NONCE_WINDOW_S 60

void dep_lib_wake(struct deputy_guard *guard)
{
    uint64_t one = 1;

    pthread_cond_broadcast(&guard->wake);
    /* The only failure there is, a full counter, leaves it readable. */
    (void)!write(guard->event_fd, &one, sizeof(one));
}

bool dep_lib_is_waiting(const struct deputy_guard *guard)
{
    return guard->keys.is_round || guard->keys.is_wanted || !atomic_load(&guard->has_tried_keys) ||
           !atomic_load(&guard->has_tried_feed);
}

void dep_lib_wait_until(struct deputy_guard *guard, int64_t until_ms)
{
    struct timespec until = { until_ms / 1000, until_ms % 1000 * 1000000 };

    (void)pthread_cond_timedwait(&guard->wake, &guard->lock, &until);
}

static enum deputy_result make_texts(struct deputy_guard *guard)
{
    const struct dep_guard_setup setup = dep_config_setup(guard->config);
    struct dep_res res;

    guard->memory = malloc(TEXTS_MAX + guard->config->rules_count * RULE_MAX);
    if (guard->memory == NULL)
        return DEPUTY_ERR_MEMORY;
    dep_arena_init(&guard->arena, guard->memory, TEXTS_MAX + guard->config->rules_count * RULE_MAX);
    res = dep_guard_texts(&guard->arena, &setup, &guard->texts);
    return dep_is_ok(res) ? DEPUTY_OK
                          : dep_config_fault(guard->config, "resource", "it is too long, or scopes-offered are");
}

static void make_policy(struct deputy_guard *guard)
{
    struct deputy_config *config = guard->config;
    const struct dep_guard_setup setup = dep_config_setup(config);
    int64_t skew_s = config->numbers[DEP_SETTING_SKEW_S];

    if (!config->has_nonce_key)
        dep_random(config->nonce_key, sizeof(config->nonce_key));
    /* Guards of one resource that share the key understand each other's nonces, whatever shape they have. */
    guard->nonce = (struct dep_nonce_policy){ dep_secret(config->nonce_key, sizeof(config->nonce_key)),
                                              guard->texts.node, NONCE_WINDOW_S };
    guard->policy.origin = guard->texts.origin;
    guard->policy.resource_metadata = guard->texts.metadata_url;
    guard->policy.scopes = setup.scopes;
    guard->policy.token = (struct dep_token_policy){ setup.issuer, setup.resource, DEP_ALGS_ALL, skew_s };
    guard->policy.dpop = (struct dep_dpop_policy){ .age_max_s = config->numbers[DEP_SETTING_PROOF_AGE_MAX_S],
                                                   .skew_s = skew_s,
                                                   .fence = dep_clock_unix(),
                                                   .needs_nonce = config->numbers[DEP_SETTING_NEEDS_NONCE] != 0,
                                                   .algs = setup.has_rsa_proofs ? DEP_ALGS_DPOP_RSA : DEP_ALGS_DPOP,
                                                   .nonce = &guard->nonce };
    guard->policy.needs_dpop = setup.needs_dpop;
    guard->policy.certificates = setup.certificates;
    guard->policy.feed_silence_max_s = config->numbers[DEP_SETTING_FEED_SILENCE_MAX_S];
    guard->following = (struct dep_follow_policy){
        .issuer = setup.issuer,
        .keys_refresh_s = config->numbers[DEP_SETTING_KEYS_REFRESH_S],
        .keys_throttle_s = config->numbers[DEP_SETTING_KEYS_THROTTLE_S],
        .keys_stale_max_s = config->numbers[DEP_SETTING_KEYS_STALE_MAX_S],
        .skew_s = skew_s,
        .feed_silence_max_s = config->numbers[DEP_SETTING_FEED_SILENCE_MAX_S],
    };
}

static enum deputy_result make_followers(struct deputy_guard *guard)
{
    const struct deputy_config *config = guard->config;
    struct dep_res keys = dep_follow_keys_init(&guard->keys, &guard->following);
    struct dep_res feed =
        dep_follow_feed_init(&guard->feed, &guard->following, dep_config_text(config, DEP_SETTING_CLIENT),
                             dep_secret(config->secret, config->secret_len));

    if (keys.err == DEP_ERR_ARENA_FULL || feed.err == DEP_ERR_ARENA_FULL)
        return DEPUTY_ERR_MEMORY;
    return dep_is_ok(keys) && dep_is_ok(feed) ? DEPUTY_OK : dep_config_fault(guard->config, "issuer", "it is too long");
}

static enum deputy_result make_stores(struct deputy_guard *guard)
{
    const struct deputy_config *config = guard->config;
    int64_t life_s = guard->policy.dpop.age_max_s + 2 * guard->policy.dpop.skew_s;
    int64_t last;

    if (config->replay == NULL) {
        guard->replay = dep_replay_new((size_t)config->numbers[DEP_SETTING_PROOFS_MAX], life_s);
        if (guard->replay == NULL)
            return DEPUTY_ERR_MEMORY;
    }
    if (config->record != NULL)
        return DEPUTY_OK;
    if (!dep_is_ok(dep_journal_new(config->texts[DEP_SETTING_AUDIT], guard->texts.log_origin, &guard->journal)))
        return DEPUTY_ERR_AUDIT;
    /* A clock that was set back must not reopen the past (attack case B37). */
    last = dep_journal_last_time(guard->journal);
    if (last > guard->policy.dpop.fence)
        guard->policy.dpop.fence = last;
    return DEPUTY_OK;
}

static enum deputy_result load_rules(struct deputy_guard *guard, const char *path)
{
    char message[DEP_RULES_MESSAGE_MAX] = "";
    struct dep_str base = dep_config_text(guard->config, DEP_SETTING_SCOPE);
    struct dep_res res = dep_rules_file_load(path, base, &guard->rules_file, message);

    if (res.err == DEP_ERR_ARENA_FULL)
        return DEPUTY_ERR_MEMORY;
    if (!dep_is_ok(res))
        return dep_config_fault(guard->config, "rules", message);
    guard->policy.rules = dep_rules_file_rules(guard->rules_file);
    return DEPUTY_OK;
}

static enum deputy_result make_rules(struct deputy_guard *guard)
{
    const char *path = guard->config->texts[DEP_SETTING_RULES];
    enum deputy_result result = DEPUTY_OK;

    if (path != NULL && guard->config->rules_count > 0)
        return dep_config_fault(guard->config, "rules", "they come from a file or are added one by one, not both");
    if (path != NULL)
        return load_rules(guard, path);
    if (guard->config->rules_count > 0) {
        result = dep_lib_rules_make(guard->config, &guard->arena, &guard->rules);
        guard->policy.rules = &guard->rules;
    }
    return result;
}

static enum deputy_result make_parts(struct deputy_guard *guard)
{
    enum deputy_result result = make_texts(guard);

    if (result == DEPUTY_OK)
        result = make_rules(guard);
    if (result == DEPUTY_OK) {
        make_policy(guard);
        result = make_followers(guard);
    }
    if (result == DEPUTY_OK)
        result = make_stores(guard);
    return result;
}

static struct deputy_guard *make_bare(void)
{
    struct deputy_guard *guard = calloc(1, sizeof(*guard));
    pthread_condattr_t attributes;

    if (guard == NULL)
        return NULL;
    pthread_mutex_init(&guard->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&guard->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    atomic_init(&guard->has_tried_keys, false);
    atomic_init(&guard->has_tried_feed, false);
    guard->recorded_last = &guard->recorded;
    guard->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    guard->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return guard;
}

enum deputy_result deputy_guard_new(struct deputy_config *config, struct deputy_guard **ret_guard)
{
    struct deputy_guard *guard;
    enum deputy_result result;

    if (ret_guard != NULL)
        *ret_guard = NULL;
    if (config == NULL || ret_guard == NULL)
        return DEPUTY_ERR_ARGUMENT;
    result = dep_config_check(config);
    if (result != DEPUTY_OK)
        return result;
    guard = make_bare();
    if (guard == NULL)
        return DEPUTY_ERR_MEMORY;
    guard->config = dep_config_copy(config);
    if (guard->config == NULL)
        result = DEPUTY_ERR_MEMORY;
    else if (guard->event_fd < 0 || guard->stop_fd < 0)
        result = DEPUTY_ERR_SYSTEM;
    else
        result = make_parts(guard);
    if (result == DEPUTY_OK) {
        *ret_guard = guard;
        return DEPUTY_OK;
    }
    if (guard->config != NULL)
        memcpy(config->fault, guard->config->fault, sizeof(config->fault));
    deputy_guard_free(guard);
    return result;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void deputy_guard_free(struct deputy_guard *guard)
{
    if (guard == NULL)
        return;
    dep_lib_runners_stop(guard);
    dep_journal_free(guard->journal);
    dep_rules_file_free(guard->rules_file);
    for (struct deputy_verdict *verdict = deputy_guard_recorded(guard); verdict != NULL;
         verdict = deputy_guard_recorded(guard))
        deputy_verdict_free(verdict);
    while (guard->idle != NULL) {
        struct dep_lib_worker *worker = guard->idle;

        guard->idle = worker->next;
        dep_lib_worker_free(worker);
    }
    if (guard->replay != NULL)
        dep_replay_free(guard->replay);
    if (guard->keys.policy != NULL)
        dep_follow_keys_done(&guard->keys);
    if (guard->feed.policy != NULL)
        dep_follow_feed_done(&guard->feed);
    close_fd(guard->event_fd);
    close_fd(guard->stop_fd);
    pthread_cond_destroy(&guard->wake);
    pthread_mutex_destroy(&guard->lock);
    deputy_config_free(guard->config);
    free(guard->memory);
    free(guard);
}

static struct deputy_text text_of(struct dep_str text)
{
    return (struct deputy_text){ text.ptr, text.len };
}

struct deputy_text deputy_guard_metadata_path(const struct deputy_guard *guard)
{
    return text_of(guard->texts.metadata_path);
}

struct deputy_text deputy_guard_metadata(const struct deputy_guard *guard)
{
    return text_of(guard->texts.metadata);
}

int deputy_guard_fd(const struct deputy_guard *guard)
{
    return guard->event_fd;
}

const char *deputy_guard_trouble(struct deputy_guard *guard)
{
    int64_t now_ms = dep_clock_ms();

    if (guard->journal != NULL && dep_journal_is_broken(guard->journal))
        return "the audit log cannot be written: make room, or mend the disk";
    if (!dep_follow_keys_are_usable(&guard->keys, now_ms))
        return "the keys of the issuer are not known, or too old: is the issuer there, and asked?";
    if (dep_follow_feed_silence_s(&guard->feed, now_ms) > guard->policy.feed_silence_max_s)
        return "the revocation feed is silent: is the issuer there, and the client's secret right?";
    return NULL;
}

bool deputy_guard_is_waiting(struct deputy_guard *guard)
{
    bool is_waiting;

    pthread_mutex_lock(&guard->lock);
    is_waiting = dep_lib_is_waiting(guard);
    pthread_mutex_unlock(&guard->lock);
    return is_waiting;
}
