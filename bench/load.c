/* The command line of the load generator, and its report: one "name=value" a line. Exit 0 only when every answer was good. */
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "load.h"

static const char usage[] =
    "usage: load (--tcp HOST:PORT | --unix PATH) --path PATH [--method POST] [--header 'Name: value']... [--body "
    "TEXT]\n"
    "            [--connections 64] (--requests N | --seconds S) [--warmup N] [--cpu N] [--server PID] [--distinct] "
    "[--save FILE]\n"
    "            [--tokens FILE [--scheme Bearer|DPoP]]\n"
    "            [--dpop HTU [--dpop-method M] [--keys 64 | --key FILE] [--learn-nonce]]\n"
    "            [--assertion CLIENT --audience ISSUER --assertion-key FILE]\n"
    "       load --new-key FILE     writes a P-256 key and prints its public JWK Set\n";

enum load_option {
    OPTION_TCP = 256,
    OPTION_UNIX,
    OPTION_PATH,
    OPTION_METHOD,
    OPTION_HEADER,
    OPTION_BODY,
    OPTION_CONNECTIONS,
    OPTION_REQUESTS,
    OPTION_SECONDS,
    OPTION_WARMUP,
    OPTION_CPU,
    OPTION_SERVER,
    OPTION_DISTINCT,
    OPTION_SAVE,
    OPTION_TOKENS,
    OPTION_SCHEME,
    OPTION_DPOP,
    OPTION_DPOP_METHOD,
    OPTION_KEYS,
    OPTION_KEY,
    OPTION_LEARN_NONCE,
    OPTION_ASSERTION,
    OPTION_AUDIENCE,
    OPTION_ASSERTION_KEY,
    OPTION_NEW_KEY
};

static const struct option long_options[] = {
    { "tcp", required_argument, NULL, OPTION_TCP },
    { "unix", required_argument, NULL, OPTION_UNIX },
    { "path", required_argument, NULL, OPTION_PATH },
    { "method", required_argument, NULL, OPTION_METHOD },
    { "header", required_argument, NULL, OPTION_HEADER },
    { "body", required_argument, NULL, OPTION_BODY },
    { "connections", required_argument, NULL, OPTION_CONNECTIONS },
    { "requests", required_argument, NULL, OPTION_REQUESTS },
    { "seconds", required_argument, NULL, OPTION_SECONDS },
    { "warmup", required_argument, NULL, OPTION_WARMUP },
    { "cpu", required_argument, NULL, OPTION_CPU },
    { "server", required_argument, NULL, OPTION_SERVER },
    { "distinct", no_argument, NULL, OPTION_DISTINCT },
    { "save", required_argument, NULL, OPTION_SAVE },
    { "tokens", required_argument, NULL, OPTION_TOKENS },
    { "scheme", required_argument, NULL, OPTION_SCHEME },
    { "dpop", required_argument, NULL, OPTION_DPOP },
    { "dpop-method", required_argument, NULL, OPTION_DPOP_METHOD },
    { "keys", required_argument, NULL, OPTION_KEYS },
    { "key", required_argument, NULL, OPTION_KEY },
    { "learn-nonce", no_argument, NULL, OPTION_LEARN_NONCE },
    { "assertion", required_argument, NULL, OPTION_ASSERTION },
    { "audience", required_argument, NULL, OPTION_AUDIENCE },
    { "assertion-key", required_argument, NULL, OPTION_ASSERTION_KEY },
    { "new-key", required_argument, NULL, OPTION_NEW_KEY },
    { NULL, 0, NULL, 0 },
};

static bool number(const char *text, int64_t min, int64_t max, int64_t *ret_value)
{
    if (dep_is_ok(dep_num_parse(dep_str_c(text), min, max, ret_value)))
        return true;
    (void)fprintf(stderr, "load: not a number from %lld to %lld: %s\n", (long long)min, (long long)max, text);
    return false;
}

static bool set_tcp(struct load_options *options, const char *text)
{
    struct dep_str address = dep_str_c(text);
    size_t colon = dep_str_find(address, ':');
    int64_t port = 0;

    if (!number(colon < address.len ? text + colon + 1 : "", 1, 65535, &port))
        return false;
    options->tcp_host = dep_str_sub(address, 0, colon);
    options->tcp_port = (unsigned)port;
    return true;
}

static bool add_token(struct load_options *options, size_t *room, char *line, size_t len)
{
    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
        len--;
    if (options->tokens_count == *room) {
        struct dep_str *grown = realloc(options->tokens, (*room * 2 + 64) * sizeof(struct dep_str));

        if (grown == NULL)
            return false;
        options->tokens = grown;
        *room = *room * 2 + 64;
    }
    char *copy = len > 0 ? malloc(len) : NULL;

    if (copy == NULL)
        return len == 0;
    memcpy(copy, line, len);
    options->tokens[options->tokens_count++] = dep_str(copy, len);
    return true;
}

static bool read_tokens(struct load_options *options, const char *file)
{
    FILE *in = fopen(file, "r");
    char *line = NULL;
    size_t size = 0, room = 0;
    bool is_good = in != NULL;
    ssize_t len;

    while (is_good && (len = getline(&line, &size, in)) > 0)
        is_good = add_token(options, &room, line, (size_t)len);
    free(line);
    if (in != NULL)
        (void)fclose(in);
    if (!is_good || options->tokens_count == 0)
        (void)fprintf(stderr, "load: no tokens in %s\n", file);
    return is_good && options->tokens_count > 0;
}

static bool set_number(struct load_options *options, int option, const char *text)
{
    int64_t value = 0;

    if (!number(text, 0, option == OPTION_CONNECTIONS ? LOAD_CONNECTIONS_MAX : 100000000, &value))
        return false;
    if (option == OPTION_CONNECTIONS)
        options->connections = (unsigned)value;
    else if (option == OPTION_REQUESTS)
        options->requests = (uint64_t)value;
    else if (option == OPTION_SECONDS)
        options->seconds = (unsigned)value;
    else if (option == OPTION_WARMUP)
        options->warmup = (uint64_t)value;
    else if (option == OPTION_KEYS)
        options->keys = (unsigned)value;
    else if (option == OPTION_SERVER)
        options->server_pid = (unsigned)value;
    else
        options->cpu = (int)value;
    return true;
}

static bool set_text(struct load_options *options, int option, const char *text)
{
    static const struct {
        int option;
        size_t offset;
    } places[] = {
        { OPTION_UNIX, offsetof(struct load_options, unix_path) },
        { OPTION_PATH, offsetof(struct load_options, path) },
        { OPTION_METHOD, offsetof(struct load_options, method) },
        { OPTION_BODY, offsetof(struct load_options, body) },
        { OPTION_SCHEME, offsetof(struct load_options, scheme) },
        { OPTION_DPOP, offsetof(struct load_options, dpop_htu) },
        { OPTION_DPOP_METHOD, offsetof(struct load_options, dpop_method) },
        { OPTION_KEY, offsetof(struct load_options, key_file) },
        { OPTION_ASSERTION, offsetof(struct load_options, assertion_client) },
        { OPTION_AUDIENCE, offsetof(struct load_options, assertion_audience) },
        { OPTION_ASSERTION_KEY, offsetof(struct load_options, assertion_key_file) },
    };

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (places[i].option == option) {
            struct dep_str value = dep_str_c(text);

            memcpy((char *)options + places[i].offset, &value, sizeof(value));
            return true;
        }
    return set_number(options, option, text);
}

static bool set(struct load_options *options, int option, const char *text)
{
    switch (option) {
    case OPTION_TCP:
        return set_tcp(options, text);
    case OPTION_TOKENS:
        return read_tokens(options, text);
    case OPTION_DISTINCT:
        options->is_distinct = true;
        return true;
    case OPTION_LEARN_NONCE:
        options->learns_nonce = true;
        return true;
    case OPTION_SAVE:
        options->save_file = text;
        return true;
    case OPTION_HEADER:
        if (options->headers_count == LOAD_HEADERS_MAX)
            return false;
        options->headers[options->headers_count++] = dep_str_c(text);
        return true;
    case '?':
        return false;
    default:
        return set_text(options, option, text);
    }
}

static bool is_complete(const struct load_options *options)
{
    bool is_single_use = !dep_str_is_absent(options->dpop_htu) || !dep_str_is_absent(options->assertion_client);

    return (options->tcp_port > 0) != !dep_str_is_absent(options->unix_path) && !dep_str_is_absent(options->path) &&
           options->connections > 0 && options->keys > 0 && (options->requests > 0) != (options->seconds > 0) &&
           (options->requests > 0 || (!is_single_use && !options->is_distinct)) &&
           dep_str_is_absent(options->assertion_client) == dep_str_is_absent(options->assertion_audience) &&
           dep_str_is_absent(options->assertion_client) == dep_str_is_absent(options->assertion_key_file);
}

static int compare_jtis(const void *a, const void *b)
{
    return strcmp(a, b);
}

static uint64_t count_distinct(struct load_result *result)
{
    uint64_t distinct = result->jtis_count > 0 ? 1 : 0;

    qsort(result->jtis, result->jtis_count, sizeof(*result->jtis), compare_jtis);
    for (uint64_t i = 1; i < result->jtis_count; i++)
        distinct += strcmp(result->jtis[i - 1], result->jtis[i]) != 0;
    return distinct;
}

static uint64_t percentile_us(const struct load_result *result, double part)
{
    double wanted = (double)result->good * part;
    uint64_t seen = 0;

    for (uint32_t us = 0; us < LOAD_BUCKETS; us++) {
        seen += result->latency_us[us];
        if (seen > 0 && (double)seen >= wanted)
            return us;
    }
    return LOAD_BUCKETS;
}

/* True when the run counts. */
static bool report(const struct load_options *options, struct load_result *result)
{
    bool is_good = result->bad == 0 && result->good > 0;

    (void)printf("requests=%llu\nseconds=%.3f\nrate=%.0f\n", (unsigned long long)result->good, result->seconds,
                 result->seconds > 0 ? (double)result->good / result->seconds : 0.0);
    (void)printf("p50_us=%llu\np99_us=%llu\np999_us=%llu\nmax_us=%llu\n",
                 (unsigned long long)percentile_us(result, 0.5), (unsigned long long)percentile_us(result, 0.99),
                 (unsigned long long)percentile_us(result, 0.999), (unsigned long long)percentile_us(result, 1.0));
    (void)printf("others_percent=%.0f\n", result->others_percent);
    (void)printf("bad=%llu\nbroken=%llu\n", (unsigned long long)result->bad, (unsigned long long)result->broken);
    for (int status = 100; status < 600; status++)
        if (result->statuses[status] > 0)
            (void)printf("status_%d=%llu\n", status, (unsigned long long)result->statuses[status]);
    if (options->is_distinct) {
        uint64_t distinct = count_distinct(result);

        (void)printf("distinct=%llu\nwithout_jti=%llu\n", (unsigned long long)distinct,
                     (unsigned long long)result->lost_jtis);
        is_good = is_good && distinct == result->jtis_count && distinct == options->warmup + options->requests;
    }
    if (result->bad > 0)
        (void)fprintf(stderr, "load: the first answer that was not good:\n%s\n", result->first_bad);
    return is_good;
}

/* The nonce lives in `buffer`. Absent when the server asks for none. */
static bool learn_nonce(const struct load_options *options, char *buffer, size_t size, struct dep_str *ret_nonce)
{
    struct load_message probe;
    struct load_answer answer;
    bool is_good;

    if (!load_make_probe(options, &probe))
        return false;
    is_good = load_once(options, &probe, buffer, size, &answer);
    free(probe.bytes);
    if (is_good)
        *ret_nonce = load_answer_header(answer.head, "DPoP-Nonce");
    return is_good;
}

static bool pin(int cpu)
{
    cpu_set_t set;

    if (cpu < 0)
        return true;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return sched_setaffinity(0, sizeof(set), &set) == 0;
}

static int run(const struct load_options *options)
{
    static char buffer[16384];
    struct dep_str nonce = DEP_STR_ABSENT;
    struct load_messages messages = { 0 };
    struct load_result result = { 0 };
    bool is_good = !options->learns_nonce || learn_nonce(options, buffer, sizeof(buffer), &nonce);

    is_good = is_good && load_make(options, nonce, &messages);
    if (is_good && !pin(options->cpu))
        (void)fprintf(stderr, "load: cannot pin to core %d\n", options->cpu);
    is_good = is_good && load_run(options, &messages, &result);
    if (result.latency_us != NULL)
        is_good = report(options, &result) && is_good;
    free(result.latency_us);
    free(result.jtis);
    load_messages_free(&messages);
    return is_good ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct load_options options = { .connections = 64, .keys = 64, .cpu = -1 };
    int option, status;

    options.method = DEP_STR("POST");
    options.scheme = DEP_STR("Bearer");
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == OPTION_NEW_KEY)
            return load_new_key(optarg) ? 0 : 1;
        if (!set(&options, option, optarg)) {
            (void)fputs(usage, stderr);
            return 2;
        }
    }
    if (dep_str_is_absent(options.dpop_method))
        options.dpop_method = options.method;
    if (optind != argc || !is_complete(&options)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    status = run(&options);
    for (size_t i = 0; i < options.tokens_count; i++)
        free((char *)(uintptr_t)options.tokens[i].ptr);
    free(options.tokens);
    return status;
}
