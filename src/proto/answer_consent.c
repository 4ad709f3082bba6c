/* The answers that carry a ticket: the pushed request, the page, the code, and the refresh token beside an access token. */
#include "base/b64.h"
#include "proto/ctx.h"

#define ID_BYTES 16u
#define RANDOM_AT_ID 32u /* after the decision's id and the token's jti */

static struct dep_str make_id(struct dep_ctx *c)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, c->arena, DEP_B64_ENCODED(ID_BYTES));
    dep_b64url_put(&buf, c->random + RANDOM_AT_ID, ID_BYTES);
    return dep_buf_str(&buf);
}

/* The request as it stands: what was asked at PAR, what may be granted from the page on. */
static struct dep_ticket make_ticket(struct dep_ctx *c, int64_t lifetime_s)
{
    bool is_shown_again = c->column == DEP_COLUMN_AUTHORIZE && c->has_ticket;
    struct dep_ticket ticket = {
        .id = is_shown_again ? c->ticket.id : make_id(c), /* a code's is new: it is the consent's */
        .made = is_shown_again ? c->ticket.made : c->now,
        .expires = c->now + lifetime_s,
        .client_id = c->client->id,
        .redirect_uri = DEP_P(c, REDIRECT_URI),
        .state = DEP_P(c, STATE),
        .challenge = DEP_P(c, CODE_CHALLENGE),
        .jkt = DEP_P(c, DPOP_JKT),
        .scope = c->column == DEP_COLUMN_PAR ? DEP_P(c, SCOPE) : c->scope,
    };

    if (c->column == DEP_COLUMN_PAR) {
        for (; ticket.targets_count < c->targets_asked_count; ticket.targets_count++)
            ticket.targets[ticket.targets_count] = c->targets_asked[ticket.targets_count];
        return ticket;
    }
    ticket.redirect_uri = c->redirect_uri;
    for (; ticket.targets_count < c->targets_count; ticket.targets_count++)
        ticket.targets[ticket.targets_count] = c->targets[ticket.targets_count].id;
    if (c->column == DEP_COLUMN_CONSENT)
        ticket.state = DEP_STR_ABSENT; /* it goes back with the code, not in it */
    ticket.user = c->subject.token.sub;
    ticket.org = c->subject.token.org_id;
    ticket.issuer = c->foreign.issuer->id;
    ticket.acr = c->subject.token.acr;
    ticket.auth_time = c->subject.token.auth_time;
    return ticket;
}

void dep_answer_consent(struct dep_ctx *c)
{
    static const struct {
        enum dep_answer answer;
        enum dep_ticket_kind kind;
    } answers[DEP_COLUMNS] = {
        [DEP_COLUMN_PAR] = { DEP_ANSWER_PUSHED, DEP_TICKET_PUSHED },
        [DEP_COLUMN_AUTHORIZE] = { DEP_ANSWER_PAGE, DEP_TICKET_ASKED },
        [DEP_COLUMN_CONSENT] = { DEP_ANSWER_CODE, DEP_TICKET_CODE },
    };
    const struct dep_consent_policy *policy = &c->policy->consent;
    int64_t lifetime_s = c->column == DEP_COLUMN_PAR         ? policy->pushed_s
                         : c->column == DEP_COLUMN_AUTHORIZE ? policy->page_s
                                                             : policy->code_s;

    c->decision->answer = answers[c->column].answer;
    c->decision->ticket_kind = answers[c->column].kind;
    c->decision->ticket = make_ticket(c, lifetime_s);
    c->decision->has_ticket = true;
    if (c->column == DEP_COLUMN_CONSENT) {
        c->decision->redirect_uri = c->redirect_uri;
        c->decision->state = DEP_P(c, STATE);
        c->decision->issuer = c->policy->issuer;
    }
    c->decision->client = c->client;
    c->decision->agent = c->agent;
    if (c->column == DEP_COLUMN_PAR && c->has_dpop && c->policy->dpop.nonce != NULL)
        c->decision->nonce = dep_dpop_next_nonce(c->arena, c->crypto, &c->policy->dpop, &c->dpop, c->now);
}

/* A client without a secret shows by its key who it is: no key, no refresh token. */
static bool gets_refresh_token(const struct dep_ctx *c)
{
    if (!(c->client->grants & DEP_GRANT_REFRESH_TOKEN))
        return false;
    return c->client->auth != DEP_CLIENT_AUTH_NONE || c->has_dpop;
}

struct dep_res dep_answer_refresh(struct dep_ctx *c)
{
    bool is_public = c->client->auth == DEP_CLIENT_AUTH_NONE, is_new = c->column == DEP_COLUMN_AUTHORIZATION_CODE;
    struct dep_ticket *consent = &c->decision->consent;

    if (!gets_refresh_token(c))
        return DEP_OK;
    if (is_new) {
        *consent = c->ticket;
        consent->made = c->now;
        consent->expires = c->now + c->policy->consent.refresh_s;
        consent->redirect_uri = consent->state = consent->challenge = DEP_STR_ABSENT;
        consent->jkt = is_public ? c->dpop.jkt : DEP_STR_ABSENT; /* a secret may come with any key (oauth.md A12) */
    } else {
        *consent = *c->consent;
        consent->turn += is_public;
    }
    c->decision->has_ticket = true;
    c->decision->ticket_kind = DEP_TICKET_REFRESH;
    c->decision->ticket = (struct dep_ticket){
        .id = consent->id,
        .client_id = consent->client_id,
        .made = c->now,
        .expires = c->now + c->policy->consent.refresh_s / 2,
        .turn = consent->turn,
    };
    if (c->decision->ticket.expires > consent->expires)
        c->decision->ticket.expires = consent->expires;
    if (is_new || is_public)
        dep_ctx_effect(c, (struct dep_effect){ .kind = DEP_EFFECT_CONSENT, .id = consent->id });
    return DEP_OK;
}
