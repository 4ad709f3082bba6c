/* Asking a user (oauth-v2-1#4.1.1, rfc9126, rfc9449#10; oauth.md O1-O9, A10, A12).
 *
 * Who the user is says the proxy before this server, by a JWT of an issuer that is trusted for logins: no password is typed here and no
 * session is kept. The request comes in the query, or was pushed ahead; the page carries it on as a ticket for this user alone. Nothing is
 * sent to the client's redirect URI before client, URI and user are known. */
#include "base/b64.h"
#include "proto/ctx.h"
#include "proto/redirect.h"

#define PUSHED_BYTES_MAX 4600u

struct dep_res dep_check_users_offered(struct dep_ctx *c)
{
    return dep_str_is_absent(c->policy->consent.login_header) ? DEP_FAIL(HTTP_PATH) : DEP_OK;
}

/* What the ticket says becomes what was asked: nothing of the request beside it counts (rfc9126#4, rfc9101#5). */
static void take_ticket(struct dep_ctx *c)
{
    DEP_P(c, RESPONSE_TYPE) = DEP_STR("code");
    DEP_P(c, REDIRECT_URI) = c->ticket.redirect_uri;
    DEP_P(c, STATE) = c->ticket.state;
    DEP_P(c, SCOPE) = c->ticket.scope;
    DEP_P(c, CODE_CHALLENGE) = c->ticket.challenge;
    DEP_P(c, CODE_CHALLENGE_METHOD) = DEP_STR("S256");
    DEP_P(c, DPOP_JKT) = c->ticket.jkt;
    c->targets_asked_count = c->ticket.targets_count;
    for (size_t i = 0; i < c->ticket.targets_count; i++)
        c->targets_asked[i] = c->ticket.targets[i];
    c->client_id = c->ticket.client_id;
    c->has_ticket = true;
}

static size_t size_of(struct dep_str text)
{
    size_t size = text.len;

    for (size_t i = 0; i < text.len; i++) /* as JSON writes it */
        if ((unsigned char)text.ptr[i] < 0x20 || (unsigned char)text.ptr[i] >= 0x7f || text.ptr[i] == '"' ||
            text.ptr[i] == '\\')
            size += 5;
    return size;
}

/* What is pushed comes back in a URL, sealed and in base64url; it has to fit there. */
static struct dep_res check_size(const struct dep_ctx *c)
{
    size_t size = size_of(DEP_P(c, STATE)) + size_of(DEP_P(c, SCOPE)) + DEP_P(c, REDIRECT_URI).len;

    for (size_t i = 0; i < c->targets_asked_count; i++)
        size += size_of(c->targets_asked[i]);
    return size <= PUSHED_BYTES_MAX ? DEP_OK : DEP_FAIL(PARAM_SIZE);
}

struct dep_res dep_check_asked(struct dep_ctx *c)
{
    struct dep_str uri = DEP_P(c, REQUEST_URI), prefix = DEP_STR(DEP_REQUEST_URI_PREFIX);
    bool is_answer = c->column == DEP_COLUMN_CONSENT;
    struct dep_res res;

    if (c->column == DEP_COLUMN_PAR) { /* rfc9126#2.1 */
        DEP_TRY(check_size(c));
        return dep_str_is_absent(uri) ? DEP_OK : DEP_FAIL(REQUEST_URI);
    }
    if (!is_answer && dep_str_is_absent(uri)) {
        c->client_id = DEP_P(c, CLIENT_ID);
        return DEP_OK;
    }
    if (is_answer && dep_str_is_absent(DEP_P(c, PAGE)))
        return DEP_FAIL(CONSENT_FORM);
    if (!is_answer && !dep_str_starts(uri, prefix))
        return DEP_FAIL(REQUEST_URI);
    res = dep_ticket_open(c->arena, c->policy->consent.key, is_answer ? DEP_TICKET_ASKED : DEP_TICKET_PUSHED,
                          is_answer ? DEP_P(c, PAGE) : dep_str_sub(uri, prefix.len, uri.len), &c->ticket);
    if (res.err == DEP_ERR_ARENA_FULL)
        return res;
    if (!dep_is_ok(res) || c->ticket.expires <= c->now)
        return is_answer ? DEP_FAIL(CONSENT_FORM) : DEP_FAIL(REQUEST_URI);
    if (!is_answer && !dep_str_eq(DEP_P(c, CLIENT_ID), c->ticket.client_id))
        return DEP_FAIL(REQUEST_URI);
    take_ticket(c);
    return DEP_OK;
}

struct dep_res dep_check_redirect_uri(struct dep_ctx *c)
{
    struct dep_str asked = DEP_P(c, REDIRECT_URI);

    if (dep_str_is_absent(asked)) {
        if (c->client->redirect_uris_count != 1)
            return DEP_FAIL(REDIRECT_URI);
        c->redirect_uri = c->client->redirect_uris[0];
        return DEP_OK;
    }
    for (size_t i = 0; i < c->client->redirect_uris_count; i++)
        if (dep_redirect_uri_matches(c->client->redirect_uris[i], asked)) {
            c->redirect_uri = asked;
            return DEP_OK;
        }
    return DEP_FAIL(REDIRECT_URI);
}

/* A bearer token before it, as some proxies write it, is taken off. */
static struct dep_str login_token(const struct dep_ctx *c, struct dep_res *ret_res)
{
    struct dep_str value, bearer = DEP_STR("Bearer ");

    *ret_res = dep_header_one(c->request->headers, c->request->headers_count, c->policy->consent.login_header, &value);
    if (!dep_is_ok(*ret_res))
        return DEP_STR_ABSENT;
    if (value.len > bearer.len && dep_str_eq_nocase(dep_str_sub(value, 0, bearer.len), bearer))
        value = dep_str_sub(value, bearer.len, value.len);
    return value;
}

struct dep_res dep_check_load_login(struct dep_ctx *c)
{
    struct dep_res res;
    struct dep_str token = login_token(c, &res), user;
    const void *value;

    c->is_foreign = true;
    if (dep_str_is_blank(token) || !c->request->is_from_login)
        return DEP_OK;
    dep_foreign_open(c, token, DEP_FOREIGN_ID_TOKEN, &c->foreign);
    if (c->foreign.issuer == NULL)
        return DEP_OK;
    user = dep_foreign_principal(c->arena, &c->foreign);
    if (!dep_str_is_absent(user))
        (void)dep_ctx_fact(c, DEP_FACT_AGENT, user, &value);
    return DEP_OK;
}

struct dep_res dep_check_login(struct dep_ctx *c)
{
    struct dep_res res;
    struct dep_str token = login_token(c, &res);

    /* Whoever else holds an ID token of the user's cannot be the user's click. */
    if (!c->request->is_from_login)
        return DEP_FAIL(LOGIN_PEER);
    if (!dep_is_ok(res))
        return DEP_FAIL(LOGIN_TWO);
    if (dep_str_is_blank(token))
        return DEP_FAIL(LOGIN_MISSING);
    DEP_TRY(dep_foreign_verify(c, &c->foreign, DEP_ISSUER_LOGIN));
    DEP_TRY(dep_foreign_subject(c, &c->foreign, &c->subject.token));
    /* The page's ticket is for the user it was shown to: nobody can answer another's question (cross-site request forgery). */
    if (c->column == DEP_COLUMN_CONSENT && !dep_str_eq(c->subject.token.sub, c->ticket.user))
        return DEP_FAIL(LOGIN_OTHER);
    c->is_handed_over = true;
    c->is_redirectable = true;
    return DEP_OK;
}

struct dep_res dep_check_answer(struct dep_ctx *c)
{
    if (dep_str_eq_c(DEP_P(c, ANSWER), "no"))
        return DEP_FAIL(CONSENT_DENIED);
    return dep_str_eq_c(DEP_P(c, ANSWER), "yes") ? DEP_OK : DEP_FAIL(PARAM_SYNTAX);
}

/* What a question asks for, in form: told to the client, who is known by now. */
struct dep_res dep_check_asked_form(struct dep_ctx *c)
{
    DEP_TRY(dep_check_target_syntax(c));
    return dep_check_scope_syntax(c);
}

struct dep_res dep_check_response_type(struct dep_ctx *c)
{
    if (dep_str_is_absent(DEP_P(c, RESPONSE_TYPE)))
        return DEP_FAIL(PARAM_MISSING);
    if (!dep_str_eq_c(DEP_P(c, RESPONSE_TYPE), "code"))
        return DEP_FAIL(RESPONSE_TYPE);
    return dep_str_is_absent(DEP_P(c, RESPONSE_MODE)) || dep_str_eq_c(DEP_P(c, RESPONSE_MODE), "query")
               ? DEP_OK
               : DEP_FAIL(RESPONSE_MODE);
}

static bool is_sha256_text(struct dep_str text)
{
    unsigned char bytes[DEP_SHA256_LEN];

    return dep_is_ok(dep_b64url_decode_exact(text, bytes, sizeof(bytes)));
}

/* rfc7636#4.3: absent means plain, which does not exist here. */
struct dep_res dep_check_pkce(struct dep_ctx *c)
{
    if (dep_str_is_absent(DEP_P(c, CODE_CHALLENGE)))
        return DEP_FAIL(PKCE_MISSING);
    if (!dep_str_eq_c(DEP_P(c, CODE_CHALLENGE_METHOD), "S256"))
        return DEP_FAIL(PKCE_METHOD);
    return is_sha256_text(DEP_P(c, CODE_CHALLENGE)) ? DEP_OK : DEP_FAIL(PKCE_MISSING);
}

struct dep_res dep_check_key_param(struct dep_ctx *c)
{
    return dep_str_is_absent(DEP_P(c, DPOP_JKT)) || is_sha256_text(DEP_P(c, DPOP_JKT)) ? DEP_OK
                                                                                       : DEP_FAIL(PARAM_SYNTAX);
}

/* rfc9449#10.1: a proof at PAR names the key as the parameter does, and better; both must name the same. */
struct dep_res dep_check_key_named(struct dep_ctx *c)
{
    if (!c->has_dpop)
        return DEP_OK;
    if (!dep_str_is_absent(DEP_P(c, DPOP_JKT)) && !dep_str_eq(DEP_P(c, DPOP_JKT), c->dpop.jkt))
        return DEP_FAIL(DPOP_KEY);
    DEP_P(c, DPOP_JKT) = c->dpop.jkt;
    return DEP_OK;
}

/* One page, one answer; one pushed request, one code (rfc9126#4): a page may be loaded again, but not be answered again, with yes or no. Its
 * id and its time are the pushed request's, so that every page of it is the same thing to the replay store. */
struct dep_res dep_check_page_unused(struct dep_ctx *c)
{
    const struct dep_consent_policy *policy = &c->policy->consent;
    struct dep_use use = { .is_single = true,
                           .made = c->ticket.made,
                           .until = c->ticket.made + policy->pushed_s + policy->page_s,
                           .is_durable = true };

    dep_replay_key(c->crypto, DEP_STR(""), DEP_REPLAY_ASKED, c->ticket.client_id, DEP_STR(""), c->ticket.id, use.key);
    return dep_use_up(c, &use, DEP_ERR_CONSENT_ANSWERED);
}
