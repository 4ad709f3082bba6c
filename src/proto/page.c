/* Pages for people. See page.h. */
#include "proto/page.h"

#include "base/url.h"
#include "proto/redirect.h"

#define PAGE_BYTES_MAX 32768u
#define POLICY_BYTES_MAX 1024u

const char dep_page_style[] = "body{font:1em/1.5 system-ui,sans-serif;max-width:34em;margin:3em auto;padding:0 1em}"
                              "dt{font-weight:600;margin-top:.8em}dd{margin:0;overflow-wrap:anywhere}"
                              "button{font:inherit;padding:.5em 1.5em;margin:1.5em 1em 0 0}";
const char dep_page_style_hash[] = "PgULeJGYYB+OGaQ6Wbh1SERKF9RBAqf6WIZwGrgdGCg=";

void dep_page_put_text(struct dep_buf *buf, struct dep_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        switch (c) {
        case '&':
            dep_buf_put_c(buf, "&amp;");
            break;
        case '<':
            dep_buf_put_c(buf, "&lt;");
            break;
        case '>':
            dep_buf_put_c(buf, "&gt;");
            break;
        case '"':
            dep_buf_put_c(buf, "&quot;");
            break;
        case '\'':
            dep_buf_put_c(buf, "&#39;");
            break;
        default:
            dep_buf_put_char(buf, (unsigned char)c < 0x20 || c == 0x7f ? ' ' : c);
        }
    }
}

static void put_head(struct dep_buf *buf, const char *title)
{
    dep_buf_put_c(buf, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                       "<meta name=\"viewport\" content=\"width=device-width\"><title>");
    dep_buf_put_c(buf, title);
    dep_buf_put_c(buf, "</title><style>");
    dep_buf_put_c(buf, dep_page_style);
    dep_buf_put_c(buf, "</style></head><body><main>\n<h1>");
    dep_buf_put_c(buf, title);
    dep_buf_put_c(buf, "</h1>\n");
}

static void put_row(struct dep_buf *buf, const char *name, struct dep_str value)
{
    if (dep_str_is_blank(value))
        return;
    dep_buf_put_c(buf, "<dt>");
    dep_buf_put_c(buf, name);
    dep_buf_put_c(buf, "</dt><dd>");
    dep_page_put_text(buf, value);
    dep_buf_put_c(buf, "</dd>\n");
}

/* Frames, scripts and other origins: none. The form goes to this server, whose answer sends the browser on to the client. */
static struct dep_res put_policy(struct dep_arena *arena, struct dep_str redirect_uri, struct dep_wire_answer *answer)
{
    struct dep_buf policy;

    dep_buf_init_arena(&policy, arena, POLICY_BYTES_MAX);
    dep_buf_put_c(&policy, "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; style-src 'sha256-");
    dep_buf_put_c(&policy, dep_page_style_hash);
    dep_buf_put_c(&policy, "'; form-action 'self'");
    if (!dep_str_is_absent(redirect_uri)) {
        dep_buf_put_char(&policy, ' ');
        dep_redirect_uri_put_origin(&policy, redirect_uri);
    }
    if (policy.has_failed)
        return DEP_FAIL(ARENA_FULL);
    dep_wire_header(answer, "Content-Security-Policy", dep_buf_str(&policy));
    dep_wire_header(answer, "X-Frame-Options", DEP_STR("DENY"));
    dep_wire_header(answer, "Referrer-Policy", DEP_STR("no-referrer"));
    return DEP_OK;
}

static bool is_on_this_computer(struct dep_str uri)
{
    struct dep_url url;

    return dep_is_ok(dep_url_parse(uri, &url)) && dep_url_is_loopback(&url);
}

/* Names are of the operator's records, never of the request: nobody names itself here (oauth-v2-1#7.9). */
static void put_facts(struct dep_buf *buf, const struct dep_decision *decision)
{
    const struct dep_ticket *ticket = &decision->ticket;

    dep_buf_put_c(buf, "<dl>\n");
    put_row(buf, "You are", ticket->user);
    put_row(buf, "Agent", decision->agent->name);
    put_row(buf, "Its version", decision->agent->agent_version);
    put_row(buf, "Its purpose", decision->agent->purpose);
    put_row(buf, "Its owner", decision->agent->owner);
    put_row(buf, "Program", decision->client->name);
    for (size_t i = 0; i < ticket->targets_count; i++)
        put_row(buf, i == 0 ? "Where it may act for you" : "And where", ticket->targets[i]);
    put_row(buf, "What it may do there",
            dep_str_is_blank(ticket->scope) ? DEP_STR("nothing in particular") : ticket->scope);
    put_row(buf, "Your answer is sent to", dep_redirect_uri_host(ticket->redirect_uri));
    if (is_on_this_computer(ticket->redirect_uri))
        put_row(buf, "Take care",
                DEP_STR("that is a program on this computer: any program that runs here could have "
                        "asked. Say yes only when you started it just now."));
    dep_buf_put_c(buf, "</dl>\n");
}

struct dep_res dep_page_consent(struct dep_arena *arena, const struct dep_decision *decision,
                                struct dep_wire_answer *answer)
{
    struct dep_buf page;

    dep_buf_init_arena(&page, arena, PAGE_BYTES_MAX);
    put_head(&page, "May this agent act for you?");
    put_facts(&page, decision);
    dep_buf_put_c(&page, "<form method=\"post\" action=\"consent\"><input type=\"hidden\" name=\"page\" value=\"");
    dep_page_put_text(&page, decision->sealed);
    dep_buf_put_c(&page, "\"><button name=\"answer\" value=\"yes\">Yes, allow</button>"
                         "<button name=\"answer\" value=\"no\">No</button></form>\n</main></body></html>\n");
    if (page.has_failed)
        return DEP_FAIL(ARENA_FULL);
    dep_buf_fit(&page, arena);
    answer->body = dep_buf_str(&page);
    return put_policy(arena, decision->ticket.redirect_uri, answer);
}

struct dep_res dep_page_refusal(struct dep_arena *arena, const struct dep_decision *decision,
                                struct dep_wire_answer *answer)
{
    struct dep_buf page;

    dep_buf_init_arena(&page, arena, PAGE_BYTES_MAX / 8);
    put_head(&page, "This did not work");
    dep_buf_put_c(&page, "<p>");
    dep_page_put_text(&page, dep_wire_description(decision->reason, decision->class));
    dep_buf_put_c(&page, "</p>\n<dl>\n");
    put_row(&page, "Error", dep_str_c(dep_wire_of(decision->class)->error));
    put_row(&page, "Decision, for whoever runs this server", decision->id);
    dep_buf_put_c(&page, "</dl>\n</main></body></html>\n");
    if (page.has_failed)
        return DEP_FAIL(ARENA_FULL);
    dep_buf_fit(&page, arena);
    answer->body = dep_buf_str(&page);
    return put_policy(arena, DEP_STR_ABSENT, answer);
}
