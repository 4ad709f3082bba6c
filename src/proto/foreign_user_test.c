/* Claims of a foreign token as the record of its issuer maps them: a name, a door, rights. Attack cases D16, D21. */
#include "proto/world_fixture.h"

static struct world w;
#define NO_PROOF DEP_STR_ABSENT
#define ORCHESTRATOR 1u
#define WORKER 2u
#define ID_TOKEN_TYPE "urn:ietf:params:oauth:token-type:id_token"

/* An ID token of alice; `more` is appended inside the object. */
static struct dep_str id_token(const char *more)
{
    char payload[1024];

    (void)snprintf(payload, sizeof(payload),
                   "{\"iss\":\"" WORLD_IDP "\",\"sub\":\"alice\",\"aud\":\"" WORLD_ISSUER
                   "\",\"exp\":%lld,\"iat\":%lld%s}",
                   (long long)WORLD_NOW + 200, (long long)WORLD_NOW - 5, more);
    return world_sign_text(&w, w.idp_key, DEP_STR("JWT"), DEP_STR("idp-1"), dep_str_c(payload));
}

static struct outcome exchange(struct dep_str subject, const char *more)
{
    static char body[20000];

    (void)snprintf(body, sizeof(body),
                   "grant_type=" EXCHANGE "&subject_token_type=" ID_TOKEN_TYPE "&subject_token=%.*s%s",
                   DEP_STR_ARG(subject), more);
    return world_post(&w, DEP_ENDPOINT_TOKEN, ORCHESTRATOR, body, NO_PROOF);
}

static void set_rows(struct dep_claim_ceiling *rows, size_t count)
{
    w.issuer.claim_ceilings = rows;
    w.issuer.claim_ceilings_count = count;
}

DEP_TEST(a_claim_names_the_user)
{
    struct outcome o;

    w.issuer.subject_claim = DEP_STR("/idp/oid");
    o = exchange(id_token(",\"idp\":{\"oid\":\"0a1b-2c\"},\"oid\":\"mallory\""), "&resource=" WORLD_API "&scope=read");
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK_STR(t, o.decision.token.sub, "user:corp:0a1b-2c");
    /* No claim, no name: sub does not stand in for it. */
    DEP_CHECK_REFUSED(t, exchange(id_token(""), "&resource=" WORLD_API), JWT_TERMS, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, exchange(id_token(",\"idp\":{\"oid\":\" \"}"), "&resource=" WORLD_API), JWT_TERMS,
                      INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, exchange(id_token(",\"idp\":{\"oid\":7}"), "&resource=" WORLD_API), JWT_TERMS,
                      INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, exchange(id_token(",\"idp\":{\"oid\":\"a b\"}"), "&resource=" WORLD_API), EXCHANGE_PRINCIPAL,
                      INVALID_REQUEST);
    w.issuer.subject_claim = DEP_STR_ABSENT;
    DEP_CHECK_ISSUED(t, exchange(id_token(""), "&resource=" WORLD_API));
}

/* A provider of many tenants signs for strangers too. */
DEP_TEST(D16_claims_that_must_be_there)
{
    static const char *const strangers[] = { "",
                                             ",\"tid\":\"t1\"",
                                             ",\"email_verified\":true",
                                             ",\"tid\":\"t1\",\"email_verified\":false",
                                             ",\"tid\":\"t2\",\"email_verified\":true",
                                             ",\"tid\":\"T1\",\"email_verified\":true",
                                             ",\"tid\":null,\"email_verified\":true",
                                             ",\"x\":{\"tid\":\"t1\"},\"email_verified\":true" };

    w.issuer.required_claims = (struct dep_claim_terms){ { DEP_STR("tid"), DEP_STR("email_verified") },
                                                         { DEP_STR("t1"), DEP_STR("true") },
                                                         2 };
    for (size_t i = 0; i < DEP_COUNT(strangers); i++)
        DEP_CHECK_REFUSED(t, exchange(id_token(strangers[i]), "&resource=" WORLD_API), JWT_TERMS, INVALID_REQUEST);
    DEP_CHECK_ISSUED(t, exchange(id_token(",\"tid\":\"t1\",\"email_verified\":true"), "&resource=" WORLD_API));
    w.issuer.required_claims.count = 0;
}

static struct dep_str read_word[] = { DEP_STR_INIT("read") }, write_word[] = { DEP_STR_INIT("write") };
static struct dep_right may_read[] = { { DEP_STR_INIT(WORLD_API), read_word, 1 } };
static struct dep_right may_write[] = { { DEP_STR_INIT(WORLD_API), write_word, 1 } };
static struct dep_claim_ceiling by_group[] = {
    { { { DEP_STR_INIT("groups") }, { DEP_STR_INIT("readers") }, 1 }, may_read, 1 },
    { { { DEP_STR_INIT("groups") }, { DEP_STR_INIT("writers") }, 1 }, may_write, 1 },
};

DEP_TEST(D21_rights_by_group_are_the_records)
{
    static const struct {
        const char *groups;
        bool may_read, may_write;
    } rows[] = {
        { ",\"groups\":[\"readers\"]", true, false },
        { ",\"groups\":[\"x\",\"writers\"]", false, true },
        { ",\"groups\":[\"writers\",\"readers\"]", true, true },
        { ",\"groups\":\"readers\"", true, false },
        { ",\"groups\":[\"admins\"]", false, false },
        { ",\"groups\":[]", false, false },
        { ",\"scope\":\"read write\",\"roles\":[\"readers\"]", false, false },
        { "", false, false },
    };

    set_rows(by_group, 2);
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct outcome r = exchange(id_token(rows[i].groups), "&resource=" WORLD_API "&scope=read");
        struct outcome wr = exchange(id_token(rows[i].groups), "&resource=" WORLD_API "&scope=write");
        struct outcome both = exchange(id_token(rows[i].groups), "&resource=" WORLD_API "&scope=read+write");

        dep_test_check(t, (r.decision.answer == DEP_ANSWER_TOKEN) == rows[i].may_read, __FILE__, __LINE__, "read: %s",
                       rows[i].groups);
        dep_test_check(t, (wr.decision.answer == DEP_ANSWER_TOKEN) == rows[i].may_write, __FILE__, __LINE__,
                       "write: %s", rows[i].groups);
        dep_test_check(t, (both.decision.answer == DEP_ANSWER_TOKEN) == (rows[i].may_read && rows[i].may_write),
                       __FILE__, __LINE__, "both: %s", rows[i].groups);
    }
    set_rows(NULL, 0);
    DEP_CHECK_ISSUED(t, exchange(id_token(""), "&resource=" WORLD_API "&scope=read+write"));
}

/* What nobody asked for by name is narrowed in the same way, and an over-ask says who may not. */
DEP_TEST(what_is_implied_is_within_the_group)
{
    struct outcome o;

    set_rows(by_group, 2);
    o = exchange(id_token(",\"groups\":[\"readers\"]"), "&resource=" WORLD_API);
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK_STR(t, o.decision.token.scope, "read");
    o = exchange(id_token(",\"groups\":[\"readers\"]"), "&resource=" WORLD_API "&scope=read+write");
    DEP_CHECK_REFUSED(t, o, SCOPE_CEILING, INVALID_SCOPE);
    DEP_CHECK(t, o.decision.scopes_count == 2 && o.decision.scopes[0].limit == DEP_LIMIT_NONE &&
                     o.decision.scopes[1].limit == DEP_LIMIT_CEILING);
    DEP_CHECK_STR(t, o.decision.scopes[1].who, "user:corp:alice");
    /* Nothing there at all: the target is refused, as for anybody without a right. */
    DEP_CHECK_REFUSED(t, exchange(id_token(",\"groups\":[\"x\"]"), "&resource=" WORLD_API), TARGET_FORBIDDEN,
                      INVALID_TARGET);
    set_rows(NULL, 0);
}

/* The group is seen once, and what it did not give cannot come back further down. */
DEP_TEST(a_later_hop_has_no_more)
{
    struct outcome first, second;

    set_rows(by_group, 2);
    first = exchange(id_token(",\"groups\":[\"readers\"]"), "&audience=" WORLD_WORKER "&scope=read");
    DEP_CHECK_ISSUED(t, first);
    DEP_CHECK_REFUSED(t, world_exchange(&w, WORKER, first.token, "&resource=" WORLD_API "&scope=write", NO_PROOF),
                      SCOPE_CEILING, INVALID_SCOPE);
    second = world_exchange(&w, WORKER, first.token, "&resource=" WORLD_API, NO_PROOF);
    DEP_CHECK_ISSUED(t, second);
    DEP_CHECK_STR(t, second.decision.token.scope, "read");
    /* A hand-over of what the user has nowhere. */
    DEP_CHECK_REFUSED(t, exchange(id_token(",\"groups\":[\"readers\"]"), "&audience=" WORLD_WORKER "&scope=write"),
                      SCOPE_CEILING, INVALID_SCOPE);
    set_rows(NULL, 0);
}

/* The same user by the other door. */
DEP_TEST(grants_are_mapped_too)
{
    static char body[20000], payload[1024];
    struct dep_str grant;
    struct outcome o;

    set_rows(by_group, 2);
    w.issuer.subject_claim = DEP_STR("oid");
    w.issuer.required_claims = (struct dep_claim_terms){ { DEP_STR("tid") }, { DEP_STR("t1") }, 1 };
    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(payload, sizeof(payload),
                       "{\"iss\":\"" WORLD_IDP "\",\"sub\":\"pairwise\",\"aud\":\"" WORLD_ISSUER
                       "\",\"exp\":%lld,\"iat\":%lld,\"client_id\":\"%.*s\",\"jti\":\"J%u\",\"oid\":\"o-1\","
                       "\"tid\":\"t%u\",\"groups\":[\"readers\"]}",
                       (long long)WORLD_NOW + 200, (long long)WORLD_NOW - 5, DEP_STR_ARG(w.clients[ORCHESTRATOR].id), i,
                       i);
        grant = world_sign_text(&w, w.idp_key, DEP_STR("oauth-id-jag+jwt"), DEP_STR("idp-1"), dep_str_c(payload));
        (void)snprintf(body, sizeof(body),
                       "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=%.*s&resource=" WORLD_API,
                       DEP_STR_ARG(grant));
        o = world_post(&w, DEP_ENDPOINT_TOKEN, ORCHESTRATOR, body, NO_PROOF);
        if (i == 0)
            DEP_CHECK_REFUSED(t, o, JWT_TERMS, INVALID_GRANT);
    }
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK_STR(t, o.decision.token.sub, "user:corp:o-1");
    DEP_CHECK_STR(t, o.decision.token.scope, "read");
    w.issuer.subject_claim = DEP_STR_ABSENT;
    w.issuer.required_claims.count = 0;
    set_rows(NULL, 0);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(a_claim_names_the_user),
        DEP_ROW(D16_claims_that_must_be_there),
        DEP_ROW(D21_rights_by_group_are_the_records),
        DEP_ROW(what_is_implied_is_within_the_group),
        DEP_ROW(a_later_hop_has_no_more),
        DEP_ROW(grants_are_mapped_too),
    };

    world_open(&w);
    int code = dep_test_main(rows, DEP_COUNT(rows));
    world_close(&w);
    return code;
}
