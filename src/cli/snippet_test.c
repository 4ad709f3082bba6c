/* deputy guard snippet: values go into the templates, and what could break out of them does not. What a proxy makes of the output is
 * for test/guard-cases. */
#include "cli/embedded.h"
#include "cli/fixture.h"
#include "guard/identity.h"
#include "test/unit.h"

static void check(struct dep_test *t, const char *line, const char *const *said)
{
    struct dep_cli_run run = dep_cli_run(line);

    dep_test_check(t, run.code == 0, __FILE__, __LINE__, "%s: code %d: %s", line, run.code, run.err);
    for (; *said != NULL; said++)
        dep_test_check(t, strstr(run.out, *said) != NULL, __FILE__, __LINE__, "%s: no '%s' in %s", line, *said,
                       run.out);
    for (const char *at = run.out; (at = strchr(at, '@')) != NULL; at++)
        dep_test_check(t, at[1] < 'A' || at[1] > 'Z', __FILE__, __LINE__, "%s: left: %.20s", line, at);
    dep_cli_run_done(&run);
}

DEP_TEST(addresses_are_written_as_each_proxy_reads_them)
{
    check(t, "guard snippet nginx --resource https://api.example/v1.0/mcp --guard unix:/run/g.sock --upstream [::1]:81",
          (const char *[]){ "server unix:/run/g.sock;", "server [::1]:81;", "location ~ ^/v1\\.0/mcp(/|$) {", NULL });
    check(t, "guard snippet caddy --guard unix:/run/g.sock --listen 127.0.0.1:8001",
          (const char *[]){ "forward_auth unix//run/g.sock {", "bind 127.0.0.1", "http://:8001 {", NULL });
    check(
        t, "guard snippet haproxy --guard 10.0.0.7:8694 --lua /opt/deputy.lua --resource https://api.example",
        (const char *[]){ "lua.deputy 10.0.0.7:8694", "lua-load-per-thread /opt/deputy.lua", "path_reg ^(/|$)", NULL });
    check(t, "guard snippet haproxy", (const char *[]){ "server guard unix@/run/deputy/guard.sock", NULL });
    check(t, "guard snippet envoy --guard [::1]:8694 --upstream unix:/run/api.sock",
          (const char *[]){ "address: { socket_address: { address: \"::1\", port_value: 8694 } }",
                            "address: { pipe: { path: \"/run/api.sock\" } }", "regex: '/mcp(/.*)?'", NULL });
    check(t, "guard snippet traefik",
          (const char *[]){ "address: http://127.0.0.1:8694/authz/forward-auth", "url: \"http://127.0.0.1:8080\"",
                            NULL });
    check(t,
          "guard snippet nginx-module --issuer http://127.0.0.1:81 --client c1 --secret file:/a/b --audit /c --scope "
          "'a b:c'",
          (const char *[]){ "deputy_loopback on;", "deputy_issuer http://127.0.0.1:81;", "deputy_client_id c1;",
                            "deputy_client_secret file:/a/b;", "deputy_audit_log /c;", "deputy_scope a b:c;", NULL });
    check(t, "guard snippet nginx --tls /etc/tls/api.pem",
          (const char *[]){ "listen 127.0.0.1:8000 ssl;", "ssl_certificate /etc/tls/api.pem;",
                            "ssl_certificate_key /etc/tls/api.pem;", "ssl_verify_client optional_no_ca;", NULL });
    check(t, "guard snippet nginx-module --tls /a.pem",
          (const char *[]){ "listen 127.0.0.1:8000 ssl;", "\n    deputy_client_cert tls;", NULL });
    check(t, "guard snippet nginx-module --ledger /var/lib/deputy/ledger",
          (const char *[]){ "deputy_idempotency on;", "deputy_idempotency_ledger /var/lib/deputy/ledger;",
                            "proxy_next_upstream off;", "proxy_ignore_client_abort on;", NULL });
    check(t, "guard snippet nginx-module",
          (const char *[]){ "listen 127.0.0.1:8000; #", "\n    # deputy_client_cert tls;", NULL });
    check(t, "guard snippet haproxy --tls /a.pem",
          (const char *[]){ "bind 127.0.0.1:8000 ssl crt /a.pem verify optional ca-file /a.pem no-ca-names", NULL });
    check(t, "guard snippet caddy --tls /a.pem",
          (const char *[]){ "https://:8000 {\n\ttls /a.pem /a.pem {\n", "mode request", NULL });
    check(t, "guard snippet envoy --tls /a.pem",
          (const char *[]){ "        - transport_socket:\n", "certificate_chain: { filename: \"/a.pem\" }",
                            "ACCEPT_UNTRUSTED", "\n          filters:\n", NULL });
    check(t, "guard snippet haproxy-lua", (const char *[]){ "core.register_action(\"deputy\"", NULL });
}

DEP_TEST(what_could_break_out_of_a_configuration_is_refused)
{
    static const char *const bad[] = {
        "guard snippet nginx --resource 'https://api.example/a;b'",
        "guard snippet nginx --resource https://api.example/a$b",
        "guard snippet nginx --resource 'https://api.example/a b'",
        "guard snippet nginx --resource https://api.example/a{b}",
        "guard snippet nginx --resource https://api.example/a(b)",
        "guard snippet nginx --resource https://api.example/a[b]",
        "guard snippet nginx --resource https://api.example/a?b",
        "guard snippet nginx --resource ftp://api.example/a",
        "guard snippet nginx --resource /a",
        "guard snippet nginx --guard unix:relative.sock",
        "guard snippet nginx --guard 'unix:/run/a;b'",
        "guard snippet nginx --tls '/a.pem;b'",
        "guard snippet nginx --tls '/a pem'",
        "guard snippet nginx-module --ledger '/a;b'",
        "guard snippet nginx --tls ''",
        "guard snippet traefik --tls /a.pem",
        "guard snippet nginx --guard unix:",
        "guard snippet nginx --guard 127.0.0.1",
        "guard snippet nginx --guard 127.0.0.1:",
        "guard snippet nginx --guard 127.0.0.1:0",
        "guard snippet nginx --guard 127.0.0.1:65536",
        "guard snippet nginx --guard ::1:80",
        "guard snippet nginx --guard :80",
        "guard snippet nginx --upstream 'a b:80'",
        "guard snippet nginx --upstream 'a;b:80'",
        "guard snippet caddy --listen unix:/run/x.sock",
        "guard snippet haproxy --lua 'a b'",
        "guard snippet haproxy --lua ''",
        "guard snippet traefik --guard unix:/run/x.sock",
        "guard snippet traefik --upstream unix:/run/x.sock",
        "guard snippet nginx-module --issuer ftp://a",
        "guard snippet nginx-module --issuer 'https://a;b'",
        "guard snippet nginx-module --scope 'a;b'",
        "guard snippet nginx-module --secret 'file:/a b'",
        "guard snippet nginx-module --audit ''",
        "guard snippet nginx-module --client 'a b'",
        "guard snippet nginxx",
        "guard snippet iis",
        "guard snippet",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct dep_cli_run run = dep_cli_run(bad[i]);

        dep_test_check(t, run.code == DEP_EXIT_USAGE && run.out_len == 0 && run.err_len > 0, __FILE__, __LINE__,
                       "%s: code %d, said '%s'", bad[i], run.code, run.out);
        dep_cli_run_done(&run);
    }
}

/* A header that one template forgets is one that a caller can set. HAProxy's are in its script, the module's in its code. */
DEP_TEST(every_template_sets_every_identity_header)
{
    struct dep_arena arena;
    char memory[4096];
    struct dep_token token = { 0 };
    struct dep_guard_decision decision = { .token = &token };

    dep_arena_init(&arena, memory, sizeof(memory));
    DEP_CHECK(t, dep_is_ok(dep_guard_identity(&arena, &decision)));
    for (const struct dep_embedded *one = dep_embedded; one->name != NULL; one++)
        for (size_t i = 0; i < DEP_GUARD_IDENTITY && strcmp(one->name, "haproxy.cfg") != 0 &&
                           strcmp(one->name, "nginx-module.conf") != 0;
             i++) {
            char name[64];

            snprintf(name, sizeof(name), "%.*s", DEP_STR_ARG(decision.identity[i].name));
            dep_test_check(t, strstr(one->text, name) != NULL, __FILE__, __LINE__, "%s has no %s", one->name, name);
        }
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(addresses_are_written_as_each_proxy_reads_them),
        DEP_ROW(what_could_break_out_of_a_configuration_is_refused),
        DEP_ROW(every_template_sets_every_identity_header),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}
