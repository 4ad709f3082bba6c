/* Properties of delegation over 100,000 generated chains: users of a foreign issuer and agents as subjects, hand-overs, may_act, resources
 * that bind, policies of edges, revocations, tokens bound to certificates (attack group D). Whatever is asked, authority only shrinks, nobody leaves the chain, what is
 * revoked takes all that grew from it along, and the same question has the same answer. */
#include "proto/scope.h"
#include "proto/world_fixture.h"
#include "test/certificates.h"

static struct world w;
#define NO_PROOF DEP_STR_ABSENT
#define CHAINS 100000u
#define LINKS_MAX 8u
#define ID_TOKEN_TYPE "urn:ietf:params:oauth:token-type:id_token"

static uint64_t state = 20261124;

static uint64_t pick(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

struct link {
    struct dep_str token;
    struct dep_token claims;
};

struct chain {
    bool has_certificates;
    struct link links[LINKS_MAX + 1];
    size_t count;
};

/* ---- what holds for every link ---- */

/* A token for a resource carries what everybody in its chain may have there now, and nothing else. */
static bool is_within_ceilings(const struct dep_token *token)
{
    for (size_t a = 0; a < WORLD_AGENTS; a++) {
        bool is_in_chain = dep_str_eq(w.agents[a].id, token->sub);

        for (size_t i = 0; i < token->actors_count; i++)
            is_in_chain |= dep_str_eq(w.agents[a].id, token->actors[i]);
        for (unsigned r = 0; is_in_chain && r < WORLD_RESOURCES; r++) {
            const struct dep_right *right = dep_agent_right(&w.agents[a], w.resources[r].id);

            if (!dep_token_has_aud(token, w.resources[r].id))
                continue;
            for (unsigned s = 0; s < WORLD_WORDS; s++)
                if (dep_scope_has(token->scope, world_words[s]) &&
                    (right == NULL || !dep_right_has(right, world_words[s])))
                    return false;
        }
    }
    return true;
}

/* Nobody stands behind somebody who may not hand over to them. */
static bool are_edges_open(const struct dep_token *token)
{
    for (size_t i = 0; i < token->actors_count; i++) {
        struct dep_str giver = i + 1 < token->actors_count ? token->actors[i + 1] : token->sub;

        for (size_t a = 0; a < WORLD_AGENTS; a++)
            if (dep_str_eq(w.agents[a].id, giver) && !dep_agent_may_delegate(&w.agents[a], token->actors[i]))
                return false;
    }
    return true;
}

/* ---- generated policies and requests ---- */

static struct dep_str allowed[WORLD_AGENTS][2];
static const struct dep_right edge_rights[] = { { DEP_STR_INIT(WORLD_API), world_words, 1 },
                                                { DEP_STR_INIT(WORLD_API2), world_words, 2 } };

static void generate_policies(void)
{
    for (size_t i = 0; i < WORLD_AGENTS; i++) {
        struct dep_agent *agent = &w.agents[i];

        agent->has_delegates = pick(6) == 0;
        agent->delegates = allowed[i];
        agent->delegates_count = pick(3);
        allowed[i][0] = w.agents[pick(WORLD_AGENTS)].id;
        allowed[i][1] = w.agents[pick(WORLD_AGENTS)].id;
        agent->has_delegation_rights = pick(6) == 0;
        agent->delegation_rights = (struct dep_right *)(uintptr_t)edge_rights;
        agent->delegation_rights_count = 1 + pick(2);
        agent->delegation_depth_max = pick(8) == 0 ? 1 + (int64_t)pick(4) : 0;
        agent->delegation_lifetime_max_s = pick(8) == 0 ? 30 : 0;
    }
}

/* One chain in so many has clients whose tokens are bound to their certificates: reading one costs more than all the rest. */
#define CERTIFICATES 3u
#define ONE_IN 128u
static struct dep_str certificates[CERTIFICATES];

static void make_certificates(void)
{
    const struct issue what = { .subject = "CN=somebody" };

    for (size_t i = 0; i < CERTIFICATES; i++) {
        struct issued made = fixture_issue(NULL, EVP_EC_gen("P-256"), &what);

        certificates[i] = fixture_der(&w.texts, &made);
        fixture_free(&made);
    }
}

static void generate_certificates(bool has_any)
{
    for (size_t i = 0; i < WORLD_AGENTS; i++)
        w.clients[i].needs_certificate = has_any && pick(3) == 0;
}

/* The one of the client, another's or none. */
static void show_certificate(size_t client, bool has_any)
{
    w.certificate = DEP_STR_ABSENT;
    if (has_any && pick(8) > 0)
        w.certificate = certificates[pick(8) == 0 ? pick(CERTIFICATES) : client % CERTIFICATES];
}

static const char *const scopes[] = { "",
                                      "&scope=read",
                                      "&scope=write",
                                      "&scope=read+write",
                                      "&scope=delete",
                                      "&scope=read+write+delete",
                                      "&scope=read+admin" };

static const char *some_resource(void)
{
    return pick(2) == 0 ? WORLD_API : WORLD_API2;
}

static void generate_request(char *more, size_t size)
{
    char target[256] = "", act[80] = "";

    switch (pick(6)) {
    case 0:
    case 1:
        (void)snprintf(target, sizeof(target), "&resource=%s", some_resource());
        break;
    case 2:
        break;
    case 3:
        (void)snprintf(target, sizeof(target), "&audience=%s&resource=%s", w.agent_ids[pick(WORLD_AGENTS)],
                       some_resource());
        break;
    default:
        (void)snprintf(target, sizeof(target), "&audience=%s", w.agent_ids[pick(WORLD_AGENTS)]);
        break;
    }
    if (pick(10) == 0)
        (void)snprintf(act, sizeof(act), "&may_act=%s", w.agent_ids[pick(WORLD_AGENTS)]);
    (void)snprintf(more, size, "%s%s%s", target, act, scopes[pick(DEP_COUNT(scopes))]);
}

static void keep_claims(struct link *link, const struct outcome *o)
{
    struct dep_token_policy policy = { .issuer = DEP_STR(WORLD_ISSUER), .algs = DEP_ALGS_ALL };
    struct dep_jws jws;
    const struct dep_json *claims = NULL;
    bool is_good;

    /* Read back from the signed token: what counts is what went out. */
    link->token = o->token;
    is_good = dep_is_ok(dep_token_open(&w.texts, o->token, &policy, &jws)) &&
              dep_is_ok(dep_jwt_claims(&w.texts, &jws, &claims)) && dep_is_ok(dep_token_read(claims, &link->claims));
    DEP_ASSERT(is_good);
}

static bool gives_nothing(const struct outcome *o)
{
    for (size_t k = 0; k < o->decision.effects_count; k++)
        if (dep_effect_gives(o->decision.effects[k].kind))
            return false;
    return true;
}

/* Everything that a decision says, as text. */
static void describe(const struct outcome *o, struct dep_buf *buf)
{
    struct dep_audit_record record = o->decision.record;
    struct dep_json_writer writer;

    record.token = &o->decision.token; /* the outcome is a copy */
    dep_json_begin(&writer, buf);
    dep_token_write(&writer, &o->decision.token);
    dep_audit_record_write(buf, &record);
    for (size_t i = 0; i < DEP_CHECK_WORDS; i++)
        dep_buf_put_int(buf, (int64_t)o->decision.checks_run[i]);
    dep_buf_put_int(buf, (int64_t)o->decision.answer);
    dep_buf_put_int(buf, (int64_t)o->decision.effects_count);
    DEP_ASSERT(!buf->has_failed);
}

static char said[2][32768];

/* The same request, facts and randomness again. */
static bool is_same_again(size_t who, struct dep_str subject, const char *more, const struct outcome *first)
{
    struct dep_buf bufs[2];
    struct outcome again;

    dep_buf_init(&bufs[0], said[0], sizeof(said[0]));
    dep_buf_init(&bufs[1], said[1], sizeof(said[1]));
    describe(first, &bufs[0]);
    w.counter--;
    again = world_exchange(&w, who, subject, more, NO_PROOF);
    describe(&again, &bufs[1]);
    return dep_str_eq(dep_buf_str(&bufs[0]), dep_buf_str(&bufs[1]));
}

/* An agent that hands over, or a user whose ID token an agent exchanges. */
static struct outcome begin_chain(size_t agent, size_t next)
{
    char body[1024], claims[512];

    if (pick(4) > 0) {
        (void)snprintf(body, sizeof(body), "grant_type=client_credentials&audience=%s%s%s&task_id=T%u",
                       w.agent_ids[next], pick(4) == 0 ? "&resource=" WORLD_API : "", scopes[1 + pick(5)],
                       (unsigned)pick(9));
        return world_post(&w, DEP_ENDPOINT_TOKEN, agent, body, NO_PROOF);
    }
    (void)snprintf(claims, sizeof(claims),
                   "{\"iss\":\"" WORLD_IDP "\",\"sub\":\"u%u\",\"aud\":\"" WORLD_ISSUER "\",\"iat\":%lld,\"exp\":%lld}",
                   (unsigned)pick(5), (long long)WORLD_NOW, (long long)WORLD_NOW + 250);

    struct dep_str id_token = world_sign_text(&w, w.idp_key, DEP_STR("JWT"), DEP_STR("idp-1"), dep_str_c(claims));

    (void)snprintf(body, sizeof(body),
                   "grant_type=" EXCHANGE "&subject_token_type=" ID_TOKEN_TYPE "&audience=%s%s&subject_token=%.*s",
                   w.agent_ids[next], scopes[1 + pick(5)], DEP_STR_ARG(id_token));
    return world_post(&w, DEP_ENDPOINT_TOKEN, agent, body, NO_PROOF);
}

/* One more link, or a refusal. */
static bool extend(struct chain *chain, size_t who)
{
    const struct link *parent = &chain->links[chain->count - 1];
    struct link *child = &chain->links[chain->count];
    char more[512];
    struct outcome o;

    generate_request(more, sizeof(more));
    show_certificate(who, chain->has_certificates);
    o = world_exchange(&w, who, parent->token, more, NO_PROOF);
    if (o.decision.answer != DEP_ANSWER_TOKEN)
        return gives_nothing(&o);
    keep_claims(child, &o);
    if (!world_is_within(&w, &child->claims, &parent->claims) || !is_within_ceilings(&child->claims) ||
        !are_edges_open(&child->claims) || !dep_str_eq(dep_token_presenter(&child->claims), w.agents[who].id))
        return false;
    if (pick(8) == 0 && !is_same_again(who, parent->token, more, &o))
        return false;
    chain->count++;
    return true;
}

/* ---- revocation ---- */

/* A name that the link's token carries, to be cut off. */
static struct dep_revocation cut_of(const struct dep_token *token)
{
    switch (pick(5)) {
    case 0:
        return (struct dep_revocation){ DEP_REVOKED_AGENT, dep_token_presenter(token), WORLD_NOW, WORLD_NOW + 600 };
    case 1:
        return (struct dep_revocation){ DEP_REVOKED_CLIENT, token->client_id, WORLD_NOW, WORLD_NOW + 600 };
    case 2:
        return (struct dep_revocation){ DEP_REVOKED_ORG, token->org_id, WORLD_NOW, WORLD_NOW + 600 };
    case 3:
        if (!dep_str_is_absent(token->task_id))
            return (struct dep_revocation){ DEP_REVOKED_TASK, token->task_id, WORLD_NOW, WORLD_NOW + 600 };
        break;
    default:
        break;
    }
    return (struct dep_revocation){ DEP_REVOKED_JTI, token->jti, WORLD_NOW, WORLD_NOW + 600 };
}

/* Cuts one link: it and all after it are dead, for guards and for the token endpoint. A cut by jti leaves all before it alive. */
static bool is_cut_complete(const struct chain *chain)
{
    size_t at = pick(chain->count);
    struct dep_revocation cut = cut_of(&chain->links[at].claims);
    struct dep_revocations *before = w.revocations;
    bool is_good = true;

    w.revocations = dep_revocations_new(1);
    DEP_ASSERT(w.revocations != NULL && dep_is_ok(dep_revocations_add(w.revocations, &cut)));
    for (size_t i = 0; i < chain->count; i++) {
        bool is_dead = dep_revocations_cover(w.revocations, &chain->links[i].claims);

        if (i >= at ? !is_dead : is_dead && cut.kind == DEP_REVOKED_JTI)
            is_good = false;
    }
    if (is_good) {
        struct outcome o =
            world_exchange(&w, pick(WORLD_AGENTS), chain->links[at + pick(chain->count - at)].token, "", NO_PROOF);

        is_good = o.decision.answer == DEP_ANSWER_REFUSAL && gives_nothing(&o);
    }
    dep_revocations_free(w.revocations);
    w.revocations = before;
    return is_good;
}

/* ---- the test ---- */

static struct {
    unsigned links, longest, users, bound, certified, cuts;
} seen;

static bool is_good_chain(void)
{
    static struct chain chain;
    size_t agent = pick(WORLD_AGENTS), next = pick(WORLD_AGENTS);
    struct outcome o;

    generate_policies();
    chain.has_certificates = pick(ONE_IN) == 0;
    generate_certificates(chain.has_certificates);
    show_certificate(agent, chain.has_certificates);
    o = begin_chain(agent, next);
    if (o.decision.answer != DEP_ANSWER_TOKEN)
        return gives_nothing(&o);
    chain.count = 1;
    keep_claims(&chain.links[0], &o);
    if (!are_edges_open(&chain.links[0].claims))
        return false;
    seen.users += dep_str_starts(chain.links[0].claims.sub, DEP_STR("user:"));
    for (unsigned i = 0; i < LINKS_MAX && chain.count <= LINKS_MAX; i++) {
        if (!extend(&chain, pick(3) == 0 ? pick(WORLD_AGENTS) : next))
            return false;
        for (next = 0;
             next < WORLD_AGENTS && !dep_token_has_aud(&chain.links[chain.count - 1].claims, w.agents[next].id); next++)
            ;
        if (next == WORLD_AGENTS)
            next = pick(WORLD_AGENTS);
    }
    seen.links += (unsigned)chain.count - 1;
    seen.longest = chain.count > seen.longest ? (unsigned)chain.count : seen.longest;
    seen.bound += chain.links[chain.count - 1].claims.resources_count > 0;
    seen.certified += !dep_str_is_absent(chain.links[chain.count - 1].claims.x5t) && chain.count > 1;
    seen.cuts++;
    return is_cut_complete(&chain);
}

DEP_TEST(D20_nothing_grows_through_any_chain_and_one_cut_takes_all_that_grew)
{
    unsigned bad = 0;

    for (unsigned i = 0; i < CHAINS; i++) {
        size_t mark = w.texts.used;

        if (!is_good_chain())
            bad++;
        memset((char *)w.texts_memory + mark, 0, w.texts.used - mark);
        w.texts.used = mark;
    }
    DEP_CHECK(t, bad == 0);
    /* The generator reaches what it is for. */
    DEP_CHECK(t, seen.links > CHAINS / 4 && seen.longest >= 5);
    DEP_CHECK(t, seen.users > CHAINS / 50 && seen.bound > CHAINS / 100 && seen.cuts > CHAINS / 4);
    DEP_CHECK(t, seen.certified > CHAINS / ONE_IN / 20);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(D20_nothing_grows_through_any_chain_and_one_cut_takes_all_that_grew),
    };
    int failed;

    world_open(&w);
    make_certificates();
    failed = dep_test_main(rows, DEP_COUNT(rows));
    world_close(&w);
    return failed;
}
