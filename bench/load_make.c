/* Requests, made and signed in memory before the clock starts, so that the generator costs a write and a read for each. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/b64.h"
#include "load.h"
#include "proto/dpop.h"

#define SCRATCH_BYTES (256u * 1024u)
#define MESSAGE_BYTES_MAX 32768u
#define KEY_BYTES_MAX 8192u

/* Everything that making one message needs. */
struct maker {
    const struct load_options *options;
    struct dep_str nonce;
    struct dep_crypto *crypto;
    struct dep_private_key **keys;
    size_t keys_count;
    struct dep_private_key *assertion_key;
    struct dep_arena arena;
    void *memory;
    int64_t now;
};

static bool read_key(struct dep_str file, struct dep_private_key **ret_key)
{
    char bytes[KEY_BYTES_MAX], path[4096];
    size_t len = 0;
    FILE *in;

    (void)snprintf(path, sizeof(path), "%.*s", DEP_STR_ARG(file));
    in = fopen(path, "rb");
    if (in != NULL) {
        len = fread(bytes, 1, sizeof(bytes), in);
        (void)fclose(in);
    }
    if (len == 0 || !dep_is_ok(dep_private_key_read(DEP_ALG_ES256, dep_secret(bytes, len), ret_key))) {
        (void)fprintf(stderr, "load: no key in %s\n", path);
        return false;
    }
    return true;
}

bool load_new_key(const char *file)
{
    static unsigned char memory[SCRATCH_BYTES] __attribute__((aligned(16)));
    struct dep_private_key *key = NULL;
    struct dep_json_writer writer;
    struct dep_arena arena;
    struct dep_secret der;
    struct dep_buf buf;
    bool is_good = false;
    int fd;

    dep_arena_init(&arena, memory, sizeof(memory));
    dep_buf_init_arena(&buf, &arena, 4096);
    dep_json_begin(&writer, &buf);
    if (!dep_is_ok(dep_private_key_new(DEP_ALG_ES256, &key)))
        return false;
    if (dep_is_ok(dep_private_key_der(key, &arena, &der)) &&
        dep_is_ok(dep_jwk_put_public(&writer, &arena, key, DEP_STR("bench")))) {
        fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        is_good = fd >= 0 && write(fd, der.bytes, der.len) == (ssize_t)der.len;
        if (fd >= 0)
            (void)close(fd);
        (void)printf("{\"keys\":[%.*s]}\n", DEP_STR_ARG(dep_buf_str(&buf)));
    }
    dep_private_key_free(key);
    return is_good;
}

/* A client assertion (rfc7523bis#4): aud is the issuer alone, jti is new, two minutes of life. */
static bool sign_assertion(struct maker *maker, struct dep_str *ret_assertion)
{
    const struct load_options *options = maker->options;
    struct dep_buf payload, jti, token;
    struct dep_json_writer writer;
    unsigned char random[16];

    dep_random(random, sizeof(random));
    dep_buf_init_arena(&jti, &maker->arena, 32);
    dep_b64url_put(&jti, random, sizeof(random));
    dep_buf_init_arena(&payload, &maker->arena, 1024);
    dep_json_begin(&writer, &payload);
    dep_json_open(&writer, '{');
    dep_json_member(&writer, "iss", options->assertion_client);
    dep_json_member(&writer, "sub", options->assertion_client);
    dep_json_member(&writer, "aud", options->assertion_audience);
    dep_json_member(&writer, "jti", dep_buf_str(&jti));
    dep_json_member_int(&writer, "iat", maker->now);
    dep_json_member_int(&writer, "exp", maker->now + 120);
    dep_json_close(&writer, '}');
    dep_buf_init_arena(&token, &maker->arena, 2048);
    if (!dep_is_ok(dep_jws_sign(maker->crypto, maker->assertion_key, DEP_STR("JWT"), DEP_STR("bench"), DEP_STR_ABSENT,
                                dep_buf_str(&payload), &token)))
        return false;
    *ret_assertion = dep_buf_str(&token);
    return !token.has_failed;
}

static void put_header(struct dep_buf *out, const char *name, struct dep_str scheme, struct dep_str value)
{
    dep_buf_put_c(out, name);
    dep_buf_put_c(out, ": ");
    if (!dep_str_is_blank(scheme)) {
        dep_buf_put(out, scheme);
        dep_buf_put_char(out, ' ');
    }
    dep_buf_put(out, value);
    dep_buf_put_c(out, "\r\n");
}

static void put_head(struct dep_buf *out, const struct load_options *options)
{
    dep_buf_put(out, options->method);
    dep_buf_put_char(out, ' ');
    dep_buf_put(out, options->path);
    dep_buf_put_c(out, " HTTP/1.1\r\nHost: ");
    dep_buf_put(out, dep_str_is_absent(options->unix_path) ? options->tcp_host : DEP_STR("localhost"));
    if (dep_str_is_absent(options->unix_path)) {
        dep_buf_put_char(out, ':');
        dep_buf_put_int(out, options->tcp_port);
    }
    dep_buf_put_c(out, "\r\n");
    for (size_t i = 0; i < options->headers_count; i++) {
        dep_buf_put(out, options->headers[i]);
        dep_buf_put_c(out, "\r\n");
    }
}

static void put_body(struct dep_buf *out, struct dep_str body, struct dep_str assertion)
{
    static const char assertion_type[] =
        "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=";
    size_t len = body.len + (dep_str_is_absent(assertion) ? 0 : sizeof(assertion_type) - 1 + assertion.len);

    if (!dep_str_is_absent(body) || !dep_str_is_absent(assertion)) {
        dep_buf_put_c(out, "Content-Length: ");
        dep_buf_put_int(out, (int64_t)len);
        dep_buf_put_c(out, "\r\n");
    }
    dep_buf_put_c(out, "\r\n");
    dep_buf_put(out, body);
    if (!dep_str_is_absent(assertion)) {
        dep_buf_put_c(out, assertion_type);
        dep_buf_put(out, assertion);
    }
}

static bool keep(const struct dep_buf *out, struct load_message *ret_message)
{
    ret_message->bytes = out->has_failed ? NULL : malloc(out->len);
    if (ret_message->bytes == NULL) {
        (void)fprintf(stderr, "load: a message does not fit\n");
        return false;
    }
    memcpy(ret_message->bytes, out->ptr, out->len);
    ret_message->len = out->len;
    return true;
}

static bool make_one(struct maker *maker, size_t i, struct load_message *ret_message)
{
    const struct load_options *options = maker->options;
    struct dep_str token = DEP_STR_ABSENT, proof = DEP_STR_ABSENT, assertion = DEP_STR_ABSENT;
    unsigned char random[16];
    struct dep_buf out;

    dep_arena_reset(&maker->arena);
    dep_buf_init_arena(&out, &maker->arena, MESSAGE_BYTES_MAX);
    put_head(&out, options);
    if (options->tokens_count > 0) {
        token = options->tokens[i % options->tokens_count];
        put_header(&out, "Authorization", options->scheme, token);
    }
    if (!dep_str_is_absent(options->dpop_htu)) {
        dep_random(random, sizeof(random));
        if (!dep_is_ok(dep_dpop_sign(&maker->arena, maker->crypto, maker->keys[i % maker->keys_count],
                                     options->dpop_method, options->dpop_htu, token, maker->nonce, maker->now, random,
                                     &proof))) {
            (void)fprintf(stderr, "load: cannot sign a proof\n");
            return false;
        }
        put_header(&out, "DPoP", DEP_STR_ABSENT, proof);
    }
    if (maker->assertion_key != NULL && !sign_assertion(maker, &assertion)) {
        (void)fprintf(stderr, "load: cannot sign an assertion\n");
        return false;
    }
    put_body(&out, options->body, assertion);
    return keep(&out, ret_message);
}

static bool maker_init(struct maker *maker)
{
    const struct load_options *options = maker->options;

    maker->crypto = dep_crypto_new();
    maker->memory = aligned_alloc(16, SCRATCH_BYTES);
    maker->now = (int64_t)time(NULL);
    maker->keys_count = dep_str_is_absent(options->key_file) ? options->keys : 1;
    maker->keys = calloc(maker->keys_count, sizeof(struct dep_private_key *));
    if (maker->crypto == NULL || maker->memory == NULL || maker->keys == NULL)
        return false;
    dep_arena_init(&maker->arena, maker->memory, SCRATCH_BYTES);
    if (!dep_str_is_absent(options->assertion_client) && !read_key(options->assertion_key_file, &maker->assertion_key))
        return false;
    if (dep_str_is_absent(options->dpop_htu))
        return true;
    if (!dep_str_is_absent(options->key_file))
        return read_key(options->key_file, &maker->keys[0]);
    for (size_t i = 0; i < maker->keys_count; i++)
        if (!dep_is_ok(dep_private_key_new(DEP_ALG_ES256, &maker->keys[i])))
            return false;
    return true;
}

static void maker_done(struct maker *maker)
{
    for (size_t i = 0; maker->keys != NULL && i < maker->keys_count; i++)
        dep_private_key_free(maker->keys[i]);
    free(maker->keys);
    dep_private_key_free(maker->assertion_key);
    dep_crypto_free(maker->crypto);
    free(maker->memory);
}

bool load_make(const struct load_options *options, struct dep_str nonce, struct load_messages *ret_messages)
{
    struct maker maker = { .options = options, .nonce = nonce };
    struct load_messages messages = { 0 };
    bool is_good = maker_init(&maker);

    messages.is_single_use = !dep_str_is_absent(options->dpop_htu) || maker.assertion_key != NULL;
    if (messages.is_single_use)
        messages.count = (size_t)(options->warmup + options->requests);
    else
        messages.count = options->tokens_count > 0 ? options->tokens_count : 1;
    messages.items = calloc(messages.count, sizeof(*messages.items));
    is_good = is_good && messages.items != NULL;
    for (size_t i = 0; is_good && i < messages.count; i++)
        is_good = make_one(&maker, i, &messages.items[i]);
    maker_done(&maker);
    *ret_messages = messages;
    return is_good;
}

bool load_make_probe(const struct load_options *options, struct load_message *ret_message)
{
    struct load_options probe = *options;
    struct load_messages messages;

    /* One proof without a nonce: the answer brings one. */
    probe.warmup = 0;
    probe.requests = 1;
    if (!load_make(&probe, DEP_STR_ABSENT, &messages) || messages.count == 0) {
        load_messages_free(&messages);
        return false;
    }
    *ret_message = messages.items[0];
    messages.items[0].bytes = NULL;
    load_messages_free(&messages);
    return true;
}

void load_messages_free(struct load_messages *messages)
{
    for (size_t i = 0; messages->items != NULL && i < messages->count; i++)
        free(messages->items[i].bytes);
    free(messages->items);
    messages->items = NULL;
}
