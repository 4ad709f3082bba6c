/* The configuration: what is wrong is said with file, line and a suggestion; key files that others may read are refused. */
#include "server/config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/files.h"
#include "server/server.h"
#include "test/unit.h"

static char folder[] = "/tmp/deputy-config-XXXXXX";
static char path[64];

static void write_file(struct dep_str text, mode_t mode)
{
    int fd;

    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    DEP_ASSERT(fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len && fchmod(fd, mode) == 0);
    (void)close(fd);
}

#define LEAST "issuer: https://as.example\ndata_dir: data\n"

static const struct {
    const char *name, *text;
    const char *message; /* a part of it, after the path; NULL: the file is good */
} rows[] = {
    { "least", LEAST, NULL },
    { "with a path", "issuer: https://as.example/tenant\ndata_dir: d\n", NULL },
    { "http on loopback", "issuer: http://127.0.0.1:8693\ndata_dir: d\n", NULL },
    { "http on localhost", "issuer: http://localhost:8693\ndata_dir: d\n", NULL },
    { "ends of the ranges", LEAST "workers: 64\naccess_token_lifetime_s: 3600\ndpop_age_max_s: 5\n", NULL },
    { "unknown key, like another", "data_dir: d\n# a remark\nisuer: https://as.example\n",
      ":3: unknown key 'isuer'; did you mean 'issuer'?" },
    { "unknown key, like none", LEAST "frobnicate_everything: 1\n", ":3: unknown key 'frobnicate_everything'; see" },
    { "key in capitals", "Issuer: https://as.example\ndata_dir: d\n",
      ":1: unknown key 'Issuer'; did you mean 'issuer'?" },
    { "not a number", LEAST "workers: many\n", ":3: " },
    { "no YAML", "issuer: [\n", ":1: " },
    { "empty", "", ": " },
    { "no issuer", "data_dir: d\n", ": issuer is missing" },
    { "no data_dir", "issuer: https://as.example\n", ": data_dir is missing" },
    { "issuer without a scheme", "issuer: as.example\ndata_dir: d\n", ": issuer is not a URL" },
    { "issuer with a query", "issuer: https://as.example?x=1\ndata_dir: d\n", ": issuer is not a URL" },
    { "issuer with a fragment", "issuer: 'https://as.example#x'\ndata_dir: d\n", ": issuer is not a URL" },
    { "issuer with a user", "issuer: https://me@as.example\ndata_dir: d\n", ": issuer is not a URL" },
    { "issuer with a slash", "issuer: https://as.example/\ndata_dir: d\n", ": issuer ends with a slash" },
    { "issuer on plain http", "issuer: http://as.example\ndata_dir: d\n", ": issuer must be https" },
    { "issuer that starts like loopback", "issuer: http://127.0.0.1.example\ndata_dir: d\n", ": issuer must be https" },
    { "too many workers", LEAST "workers: 65\n", ": workers is 65; it may be 1 to 64" },
    { "no workers", LEAST "workers: 0\n", ": workers is 0; it may be 1 to 64" },
    { "fewer than none", LEAST "workers: -1\n", ": workers is -1" },
    { "a lifetime too long", LEAST "access_token_lifetime_s: 3601\n", ": access_token_lifetime_s is 3601" },
    { "a lifetime too short", LEAST "access_token_lifetime_s: 9\n", ": access_token_lifetime_s is 9" },
    { "no skew", LEAST "dpop_skew_s: 0\n", ": dpop_skew_s is 0" },
    { "proofs too old", LEAST "dpop_age_max_s: 301\n", ": dpop_age_max_s is 301" },
    { "users of the admin socket", LEAST "admin_uids: [0, 1000, 4294967294]\n", NULL },
    { "no other user", LEAST "admin_uids: []\n", NULL },
    { "a user below zero", LEAST "admin_uids: [1000, -1]\n", ": admin_uids has -1, which is no user id" },
    { "a user that is none", LEAST "admin_uids: [4294967295]\n", ": admin_uids has 4294967295" },
    { "a user by name", LEAST "admin_uids: [root]\n", ":3: " },
    { "users, misspelt", LEAST "admin_uid: [1]\n", ":3: unknown key 'admin_uid'; did you mean 'admin_uids'?" },
    { "certificates by a proxy",
      LEAST "client_certificates: proxy\nclient_certificates_from: [127.0.0.1, '::1', unix]\nclient_ca_file: x.pem\n",
      NULL },
    { "certificates over TLS",
      LEAST "tls_certificate_file: a.pem\ntls_key_file: b.pem\nclient_certificates: tls\nclient_ca_file: x.pem\n",
      NULL },
    { "TLS", LEAST "tls_certificate_file: a.pem\ntls_key_file: b.pem\n", NULL },
    { "TLS without a key", LEAST "tls_certificate_file: a.pem\n", ": tls_certificate_file and tls_key_file come" },
    { "TLS without a certificate", LEAST "tls_key_file: a.pem\n", ": tls_certificate_file and tls_key_file come" },
    { "TLS of a plain issuer",
      "issuer: http://127.0.0.1:1\ndata_dir: d\ntls_certificate_file: a.pem\ntls_key_file: b.pem\n",
      ": issuer is plain http" },
    { "certificates over no TLS", LEAST "client_certificates: tls\n", ": client_certificates: tls needs" },
    { "certificates over TLS and a proxy",
      LEAST "tls_certificate_file: a.pem\ntls_key_file: b.pem\nclient_certificates: tls\n"
            "client_certificates_from: [127.0.0.1]\n",
      ": client_certificates_from is read with" },
    { "certificates by nobody", LEAST "client_certificates: none\n", NULL },
    { "certificates by the client", LEAST "client_certificates: header\n",
      ": client_certificates may be none, proxy or tls" },
    { "certificates by any proxy", LEAST "client_certificates: proxy\n", ": client_certificates_from is missing" },
    { "certificates by an empty list of proxies", LEAST "client_certificates: proxy\nclient_certificates_from: []\n",
      ": client_certificates_from is missing" },
    { "a proxy that is not asked", LEAST "client_certificates_from: [127.0.0.1]\n",
      ": client_certificates_from is read with client_certificates: proxy only" },
    { "a proxy by name", LEAST "client_certificates: proxy\nclient_certificates_from: [localhost]\n",
      ": client_certificates_from may have IP addresses" },
    { "a network of proxies", LEAST "client_certificates: proxy\nclient_certificates_from: [10.0.0.0/8]\n",
      ": client_certificates_from may have IP addresses" },
    { "a proxy that is blank", LEAST "client_certificates: proxy\nclient_certificates_from: ['']\n", ":4: " },
    { "authorities for nobody", LEAST "client_ca_file: x.pem\n", ": client_ca_file is of no use without" },
    { "replay in SQLite", LEAST "replay: sqlite:/var/lib/x/replay.db\n", NULL },
    { "replay in PostgreSQL", LEAST "replay: postgresql:file:/etc/x\nreplay_alone: true\nreplay_timeout_ms: 500\n",
      NULL },
    { "replay in memory", LEAST "replay: memory\n", NULL },
    { "replay nowhere", LEAST "replay: redis\n", ": replay may be memory, sqlite:FILE or postgresql:file:FILE" },
    { "replay in no file", LEAST "replay: 'sqlite:'\n", ": replay may be" },
    { "replay with the string itself", LEAST "replay: postgresql:host=db password=x\n", ": replay may be" },
    { "an answer that is not waited for", LEAST "replay_timeout_ms: 1\n",
      ": replay_timeout_ms is 1; it may be 100 to" },
    { "too few replays", LEAST "replay_entries_max: 10\n", ": replay_entries_max is 10" },
};

DEP_TEST(says_what_is_wrong_and_where)
{
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        char message[DEP_CONFIG_MESSAGE_MAX] = "", want[DEP_CONFIG_MESSAGE_MAX];
        struct dep_config *config = NULL;
        struct dep_res res;

        write_file(dep_str_c(rows[i].text), 0600);
        res = dep_config_load(path, &config, message);
        if (rows[i].message == NULL) {
            dep_test_check(t, dep_is_ok(res), __FILE__, __LINE__, "%s: %s", rows[i].name, message);
            dep_config_free(config);
            continue;
        }
        (void)snprintf(want, sizeof(want), "%s%s", path, rows[i].message);
        dep_test_check(t, res.err == DEP_ERR_CONFIG_SYNTAX && config == NULL && strstr(message, want) == message,
                       __FILE__, __LINE__, "%s: got \"%s\", want \"%s\"", rows[i].name, message, want);
    }
}

DEP_TEST(a_file_that_is_not_there)
{
    char message[DEP_CONFIG_MESSAGE_MAX] = "";
    struct dep_config *config = NULL;

    (void)unlink(path);
    DEP_CHECK_FAIL(t, dep_config_load(path, &config, message), CONFIG_SYNTAX);
    DEP_CHECK(t, strstr(message, path) == message);
}

DEP_TEST(fills_in_what_is_left_out)
{
    char message[DEP_CONFIG_MESSAGE_MAX] = "";
    struct dep_config *config = NULL;

    write_file(DEP_STR("issuer: https://as.example/t\ndata_dir: /var/lib/x\nworkers: 7\ndpop_needs_nonce: true\n"),
               0600);
    DEP_CHECK_OK(t, dep_config_load(path, &config, message));
    DEP_CHECK_STR(t, dep_str_c(config->listen), "127.0.0.1:8693");
    DEP_CHECK_STR(t, dep_str_c(config->admin_socket), "/var/lib/x/admin.sock");
    DEP_CHECK_STR(t, dep_str_c(config->signing_alg), "ES256");
    DEP_CHECK(t, config->workers == 7 && config->dpop_needs_nonce && config->access_token_lifetime_s == 300);
    DEP_CHECK_STR(t, dep_config_issuer_path(config), "/t");
    dep_config_free(config);
    DEP_CHECK_OK(t, dep_config_dev(&config));
    DEP_CHECK_STR(t, dep_str_c(config->issuer), "http://127.0.0.1:8693");
    DEP_CHECK(t, config->workers == 2 && config->replay_entries_max == 4000000);
    DEP_CHECK_STR(t, dep_str_c(config->replay), "memory");
    dep_config_free(config);
}

#define RAW "0123456789abcdef0123456789abcdef"
#define B64 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"

DEP_TEST(key_files_have_32_bytes)
{
    static const struct {
        const char *name, *text;
        bool is_good;
    } files[] = {
        { "raw", RAW, true },
        { "base64url", B64, true },
        { "base64url with a newline", B64 "\n", true },
        { "base64url with CR and LF", B64 "\r\n", true },
        { "raw with a newline", RAW "\n", false },
        { "one byte less", "0123456789abcdef0123456789abcde", false },
        { "one byte more", RAW "x", false },
        { "base64url of 31 bytes", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZQ", false },
        { "base64 with padding", B64 "=", false },
        { "longer than is read", B64 B64 B64, false },
        { "empty", "", false },
        { "newlines", "\n\n\n", false },
    };

    for (size_t i = 0; i < DEP_COUNT(files); i++) {
        char message[DEP_CONFIG_MESSAGE_MAX] = "";
        unsigned char key[32] = { 0 };
        struct dep_res res;

        write_file(dep_str_c(files[i].text), 0600);
        res = dep_key_file_read(path, key, message);
        dep_test_check(t, res.err == (files[i].is_good ? DEP_ERR_NONE : DEP_ERR_KEY_FILE), __FILE__, __LINE__, "%s",
                       files[i].name);
        DEP_CHECK(t, files[i].is_good ? memcmp(key, RAW, 32) == 0 : strstr(message, "32 bytes") != NULL);
    }
}

DEP_TEST(key_files_are_their_owners_alone)
{
    static const struct {
        mode_t mode;
        bool is_good;
    } modes[] = { { 0600, true },  { 0400, true },  { 0640, false }, { 0604, false },
                  { 0620, false }, { 0601, false }, { 0666, false }, { 0700, true } };

    for (size_t i = 0; i < DEP_COUNT(modes); i++) {
        char message[DEP_CONFIG_MESSAGE_MAX] = "";
        unsigned char key[32] = { 0 }, none[32] = { 0 };
        struct dep_res res;

        write_file(DEP_STR(RAW), modes[i].mode);
        res = dep_key_file_read(path, key, message);
        dep_test_check(t, dep_is_ok(res) == modes[i].is_good, __FILE__, __LINE__, "mode %o", (unsigned)modes[i].mode);
        if (!modes[i].is_good)
            DEP_CHECK(t, res.err == DEP_ERR_KEY_FILE && memcmp(key, none, 32) == 0 &&
                             strstr(message, "chmod 600") != NULL);
    }
}

int main(void)
{
    static const struct dep_test_row table[] = {
        DEP_ROW(says_what_is_wrong_and_where),     DEP_ROW(a_file_that_is_not_there),
        DEP_ROW(fills_in_what_is_left_out),        DEP_ROW(key_files_have_32_bytes),
        DEP_ROW(key_files_are_their_owners_alone),
    };
    int failed;

    DEP_ASSERT(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof(path), "%s/deputyd.yaml", folder);
    failed = dep_test_main(table, DEP_COUNT(table));
    (void)unlink(path);
    (void)rmdir(folder);
    return failed;
}
