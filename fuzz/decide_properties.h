/* What holds for every decision, whatever was asked: for fuzz_decide.c, which says what the properties are. */
#ifndef DEP_FUZZ_DECIDE_PROPERTIES_H
#define DEP_FUZZ_DECIDE_PROPERTIES_H

#include "fuzz/fuzz.h"
#include "proto/scope.h"
#include "proto/world_fixture.h"

static struct world *world;

/* What the request stands on, to compare with what comes out: an own token, or a JWT of the foreign issuer. */
struct subject {
    struct dep_str text; /* absent: none */
    bool is_foreign;
};

/* A user's token gives nothing longer than itself, speaks of that user, and of nobody else. */
static void check_within_foreign(const struct dep_token *token, struct dep_str text)
{
    static const struct dep_str typs[] = { DEP_STR_INIT("JWT"), DEP_STR_INIT("oauth-id-jag+jwt") };
    const struct dep_jws_rules rules = { .bytes_max = 65536, .algs = DEP_ALGS_ALL, .typs = typs, .typs_count = 2 };
    const struct dep_json *claims = NULL;
    struct dep_jws jws;
    struct dep_str sub = DEP_STR_ABSENT;
    int64_t until = 0;

    DEP_FUZZ_CHECK(dep_is_ok(dep_jws_parse(&world->texts, text, &rules, &jws)));
    DEP_FUZZ_CHECK(dep_is_ok(dep_jwt_claims(&world->texts, &jws, &claims)));
    DEP_FUZZ_CHECK(dep_is_ok(dep_json_time(DEP_JSON_GET(claims, "exp"), &until)));
    DEP_FUZZ_CHECK(dep_is_ok(dep_json_str(DEP_JSON_GET(claims, "sub"), &sub)));
    DEP_FUZZ_CHECK(token->exp <= until && token->lineage_count == 0 && token->actors_count == 1);
    DEP_FUZZ_CHECK(dep_str_starts(token->sub, DEP_STR("user:corp:")) && dep_str_ends(token->sub, sub));
}

/* Nobody has more, or longer, than what they brought. */
static void check_within(const struct dep_decision *decision, const struct subject *subject)
{
    const struct dep_token_policy policy = { .issuer = DEP_STR(WORLD_ISSUER), .algs = DEP_ALGS_ALL };
    const struct dep_token *token = &decision->token;
    const struct dep_json *claims = NULL;
    struct dep_token parent;
    struct dep_jws jws;

    if (dep_str_is_absent(subject->text)) {
        DEP_FUZZ_CHECK(token->actors_count == 0 && token->lineage_count == 0);
        return;
    }
    if (subject->is_foreign) {
        check_within_foreign(token, subject->text);
        return;
    }
    DEP_FUZZ_CHECK(decision->is_exchange);
    DEP_FUZZ_CHECK(dep_is_ok(dep_token_open(&world->texts, subject->text, &policy, &jws)));
    DEP_FUZZ_CHECK(dep_is_ok(dep_jwt_claims(&world->texts, &jws, &claims)));
    DEP_FUZZ_CHECK(dep_is_ok(dep_token_read(claims, &parent)));
    /* What another server is asked for is in its words: only time and people can be compared. */
    if (decision->issued != DEP_ISSUED_ACCESS_TOKEN)
        DEP_FUZZ_CHECK(token->exp <= parent.exp && dep_str_eq(token->sub, parent.sub));
    else
        DEP_FUZZ_CHECK(world_is_within(world, token, &parent));
}

static void check_issued(const struct dep_decision *decision, const struct dep_agent *agent)
{
    const struct dep_token *token = &decision->token;

    DEP_FUZZ_CHECK(token->exp > WORLD_NOW && token->exp <= WORLD_NOW + 300);
    DEP_FUZZ_CHECK(token->aud_count > 0 && token->jti.len > 0 && token->sub.len > 0);
    DEP_FUZZ_CHECK(dep_str_eq(dep_token_presenter(token), agent->id));
    DEP_FUZZ_CHECK(dep_str_is_absent(token->scope) || dep_is_ok(dep_scope_check(token->scope)));
    DEP_FUZZ_CHECK(decision->issued == DEP_ISSUED_ACCESS_TOKEN ||
                   (token->aud_count == 1 && dep_str_eq(token->aud[0], DEP_STR(WORLD_SERVER)) && token->scope.len > 0 &&
                    dep_str_starts(token->client_id, DEP_STR("ours-there")) +
                            dep_str_starts(token->client_id, DEP_STR("worker-there")) ==
                        1));
    DEP_FUZZ_CHECK(!decision->is_exchange || token->lineage_count > 0 || dep_str_starts(token->sub, DEP_STR("user:")));
}

/* Nobody makes somebody who may more, or who is somebody else's. */
static void check_child(const struct dep_child *child)
{
    const struct dep_agent *parent = child->parent;

    DEP_FUZZ_CHECK(parent != NULL && parent->effective_state == DEP_STATE_ACTIVE);
    DEP_FUZZ_CHECK(!dep_str_is_blank(child->name) && child->id.len > 0 && child->client_id.len > 0);
    DEP_FUZZ_CHECK(child->ceiling_count > 0 && (child->expires == 0 || child->expires > WORLD_NOW));
    for (size_t i = 0; i < child->ceiling_count; i++) {
        const struct dep_right *right = &child->ceiling[i], *above = NULL;

        for (size_t k = 0; k < parent->ceiling_count && above == NULL; k++)
            if (dep_str_eq(parent->ceiling[k].resource, right->resource))
                above = &parent->ceiling[k];
        DEP_FUZZ_CHECK(above != NULL && right->scopes_count > 0);
        for (size_t k = 0; k < right->scopes_count; k++) {
            bool is_there = false;

            for (size_t m = 0; m < above->scopes_count; m++)
                is_there |= dep_str_eq(above->scopes[m], right->scopes[k]);
            DEP_FUZZ_CHECK(is_there);
        }
    }
}

/* Runs the shell's loop once; true when a decision came out. */
static bool decide(const struct dep_request *request, const unsigned char random[DEP_RANDOM_LEN],
                   struct dep_decision *ret_decision)
{
    struct dep_facts facts = { .revocations = world->revocations };

    dep_arena_reset(&world->arena);
    for (unsigned round = 0; round < DEP_ROUNDS_MAX; round++) {
        if (!dep_is_ok(dep_decide(&world->arena, world->crypto, &world->policy, request, &facts, WORLD_NOW, random,
                                  ret_decision)))
            return false;
        if (ret_decision->needs_count == 0)
            return true;
        for (size_t i = 0; i < ret_decision->needs_count; i++)
            facts.items[facts.count++] =
                (struct dep_fact){ ret_decision->needs[i], world_load(world, &ret_decision->needs[i]) };
    }
    DEP_FUZZ_CHECK(false && "a decision kept asking for facts");
    return false;
}

/* The same arguments decide the same; other randomness makes another id and another jti, and changes nothing else. */
static void check_again(const struct dep_request *request, const struct dep_decision *decision,
                        unsigned char random[DEP_RANDOM_LEN])
{
    static char jti[DEP_JTI_MAX], id[64];
    const struct dep_token *token = &decision->token;
    bool is_token = decision->answer == DEP_ANSWER_TOKEN;
    const struct dep_decision was = *decision;
    struct dep_decision again;

    DEP_FUZZ_CHECK(was.id.len <= sizeof(id) && (!is_token || token->jti.len <= sizeof(jti)));
    memcpy(id, was.id.ptr, was.id.len);
    if (is_token)
        memcpy(jti, token->jti.ptr, token->jti.len);
    for (unsigned round = 0; round < 2; round++) {
        /* The first decision's texts lie in the arena that this one takes over. */
        DEP_FUZZ_CHECK(decide(request, random, &again));
        DEP_FUZZ_CHECK(again.answer == was.answer && again.reason == was.reason &&
                       memcmp(again.checks_run, was.checks_run, sizeof(was.checks_run)) == 0 &&
                       again.effects_count == was.effects_count);
        DEP_FUZZ_CHECK(dep_str_eq(again.id, dep_str(id, was.id.len)) == (round == 0));
        if (is_token)
            DEP_FUZZ_CHECK(again.token.exp == was.token.exp && again.token.scope.len == was.token.scope.len &&
                           again.token.aud_count == was.token.aud_count &&
                           dep_str_eq(again.token.jti, dep_str(jti, was.token.jti.len)) == (round == 0));
        for (size_t i = 0; i < DEP_RANDOM_LEN; i++)
            random[i] ^= 0xA5;
    }
}

static void check_decision(const struct dep_request *request, const struct dep_agent *agent,
                           const struct subject *subject, unsigned char random[DEP_RANDOM_LEN])
{
    struct dep_decision decision;
    struct dep_wire_answer answer;
    struct dep_buf line;

    if (!decide(request, random, &decision))
        return;
    if (decision.answer == DEP_ANSWER_REFUSAL)
        for (size_t i = 0; i < decision.effects_count; i++)
            DEP_FUZZ_CHECK(!dep_effect_gives(decision.effects[i].kind));
    if (decision.answer == DEP_ANSWER_TOKEN) {
        check_issued(&decision, agent);
        check_within(&decision, subject);
    }
    if (decision.answer == DEP_ANSWER_CHILD)
        check_child(&decision.child);
    DEP_FUZZ_CHECK(dep_is_ok(dep_wire_write(&world->arena, &decision, DEP_STR("a.b.c"), &answer)));
    dep_buf_init_arena(&line, &world->arena, 65536);
    dep_audit_record_write(&line, &decision.record);
    DEP_FUZZ_CHECK(!line.has_failed && !dep_str_has(dep_buf_str(&line), '\n'));
    check_again(request, &decision, random);
}

#endif
