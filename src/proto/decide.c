/* The driver of the check matrix. The rows stand in matrix.def, what they do in check_*.c, what follows from them in answer.c. */
#include "proto/decide.h"

#include "base/b64.h"
#include "base/id.h"
#include "proto/ctx.h"
#include "proto/scope.h"

#define C(id) (1u << DEP_COLUMN_##id)
#define SUBJECT (C(TOKEN_EXCHANGE) | C(JWT_BEARER))
/* A user consents: the client asks, the user sees a page and answers it, the client redeems what came of it. */
#define ASKS (C(PAR) | C(AUTHORIZE))
#define PAGES (C(AUTHORIZE) | C(CONSENT))
#define REDEEMS (C(AUTHORIZATION_CODE) | C(REFRESH_TOKEN))
#define USERS (PAGES | REDEEMS)
#define GRANTS (C(CLIENT_CREDENTIALS) | C(WORKLOAD) | SUBJECT | REDEEMS)
#define FORMS (GRANTS | C(INTROSPECT) | C(REVOKE) | C(PAR))
#define BODIES (FORMS | C(TOKEN) | C(AGENTS) | C(CONSENT))
#define AUTHENTICATED (FORMS | C(FEED))
#define ALL ((1u << DEP_COLUMNS) - 1)
/* Rows where a caller proves something: a preview, which an operator asks for, goes without them. */
#define PROOF (1u << 31)

static const struct dep_check matrix[] = {
#define DEP_CHECK_DEF(name, cite, columns, door, is_load, text) \
    { #name, cite, text, columns, DEP_CLASS_##door, is_load, dep_check_##name },
#include "proto/matrix.def"
#undef DEP_CHECK_DEF
};
#define ROWS (sizeof(matrix) / sizeof(matrix[0]))
_Static_assert(ROWS <= 64 * DEP_CHECK_WORDS, "the trace has one bit per row");

static const char *const column_names[DEP_COLUMNS] = {
#define DEP_COLUMN(id, name, endpoint, path, method, grant_type, grant) name,
#include "proto/column.def"
#undef DEP_COLUMN
};

static const struct {
    const char *path;
    enum dep_endpoint endpoint;
    enum dep_column column;
} paths[] = {
#define DEP_COLUMN(id, name, endpoint, path, method, grant_type, grant) \
    { path, DEP_ENDPOINT_##endpoint, DEP_COLUMN_##id },
#include "proto/column.def"
#undef DEP_COLUMN
};

size_t dep_check_count(void)
{
    return ROWS;
}

struct dep_check_info dep_check_info(size_t i)
{
    DEP_ASSERT(i < ROWS);
    return (struct dep_check_info){ matrix[i].name, matrix[i].cite, matrix[i].text, matrix[i].columns & ALL };
}

const char *dep_column_name(enum dep_column column)
{
    return column_names[column];
}

/* rfc8414#3.1 inserts the well-known part before the issuer's path; OpenID Connect also appends it. */
static bool is_metadata_path(struct dep_str path, struct dep_str issuer_path)
{
    static const struct dep_str names[] = { DEP_STR_INIT("/.well-known/oauth-authorization-server"),
                                            DEP_STR_INIT("/.well-known/openid-configuration") };

    for (size_t i = 0; i < 2; i++)
        if (dep_str_starts(path, names[i]) && dep_str_eq(dep_str_sub(path, names[i].len, path.len), issuer_path))
            return true;
    return issuer_path.len > 0 && dep_str_starts(path, issuer_path) &&
           dep_str_eq(dep_str_sub(path, issuer_path.len, path.len), names[1]);
}

enum dep_endpoint dep_endpoint_of(struct dep_str path, struct dep_str issuer_path)
{
    if (is_metadata_path(path, issuer_path))
        return DEP_ENDPOINT_METADATA;
    if (!dep_str_starts(path, issuer_path))
        return DEP_ENDPOINT_NONE;
    path = dep_str_sub(path, issuer_path.len, path.len);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (paths[i].path != NULL && dep_str_eq_c(path, paths[i].path))
            return paths[i].endpoint;
    return DEP_ENDPOINT_NONE;
}

static enum dep_column column_of(enum dep_endpoint endpoint)
{
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (paths[i].endpoint == endpoint)
            return paths[i].column;
    return DEP_COLUMNS;
}

bool dep_ctx_peek(const struct dep_ctx *c, enum dep_fact_kind kind, struct dep_str id, const void **ret_value)
{
    for (size_t i = 0; i < c->facts->count; i++) {
        const struct dep_fact *fact = &c->facts->items[i];

        if (fact->need.kind == kind && dep_str_eq(fact->need.id, id)) {
            *ret_value = fact->value;
            return true;
        }
    }
    return false;
}

bool dep_ctx_fact(struct dep_ctx *c, enum dep_fact_kind kind, struct dep_str id, const void **ret_value)
{
    struct dep_decision *decision = c->decision;

    *ret_value = NULL;
    if (dep_ctx_peek(c, kind, id, ret_value))
        return true;
    for (size_t i = 0; i < decision->needs_count; i++)
        if (decision->needs[i].kind == kind && dep_str_eq(decision->needs[i].id, id))
            return false;
    /* Bounded by what one request can name: see DEP_TARGETS_MAX and DEP_ACT_DEPTH_MAX. */
    DEP_ASSERT(decision->needs_count < DEP_FACTS_MAX);
    decision->needs[decision->needs_count++] = (struct dep_need){ kind, id };
    return false;
}

bool dep_effect_gives(enum dep_effect_kind kind)
{
    return kind == DEP_EFFECT_ISSUE || kind == DEP_EFFECT_REGISTER || kind == DEP_EFFECT_INSTRUCTION ||
           kind == DEP_EFFECT_CONSENT;
}

void dep_ctx_effect(struct dep_ctx *c, struct dep_effect effect)
{
    DEP_ASSERT(c->decision->effects_count < DEP_EFFECTS_MAX);
    c->decision->effects[c->decision->effects_count++] = effect;
}

/* Only what takes authority away may follow from a refusal. */
static void keep_reducing_effects(struct dep_decision *decision)
{
    size_t kept = 0;

    for (size_t i = 0; i < decision->effects_count; i++)
        if (!dep_effect_gives(decision->effects[i].kind))
            decision->effects[kept++] = decision->effects[i];
    decision->effects_count = kept;
}

static bool is_of_subject(const struct dep_check *check)
{
    return check->columns == SUBJECT || check->columns == (SUBJECT | USERS);
}

/* A refusal that the client may see is one of a registered code (oauth-v2-1#4.1.2.1): an agent that is switched off is a client that may
 * not ask, and what stands between a user and an agent is a denial. */
static void redirect_refusal(struct dep_ctx *c, const struct dep_check *check)
{
    struct dep_decision *decision = c->decision;

    if (!c->is_redirectable)
        return;
    if (decision->class == DEP_CLASS_INVALID_CLIENT)
        decision->class = DEP_CLASS_UNAUTHORIZED_CLIENT;
    if (is_of_subject(check))
        decision->class = DEP_CLASS_FORBIDDEN;
    decision->redirect_uri = c->redirect_uri;
    decision->state = DEP_P(c, STATE);
    decision->issuer = c->policy->issuer;
}

static void refuse(struct dep_ctx *c, const struct dep_check *check, enum dep_err reason)
{
    struct dep_decision *decision = c->decision;
    enum dep_class class = dep_err_class(reason);

    decision->answer = DEP_ANSWER_REFUSAL;
    decision->reason = reason;
    decision->class = class == DEP_CLASS_DOOR ? check->door : class;
    /* The same fault is invalid_request of a subject token (rfc8693#2.2.2) and invalid_grant of an assertion (rfc7523#3.1). */
    if ((c->column == DEP_COLUMN_JWT_BEARER || (1u << c->column & REDEEMS) != 0) && is_of_subject(check) &&
        decision->class == DEP_CLASS_INVALID_REQUEST)
        decision->class = DEP_CLASS_INVALID_GRANT;
    /* So is a resource that an assertion names and that is none of ours (mcp.md 3.2), and any fault of one that stands for its client. */
    if ((c->is_target_claimed && decision->class == DEP_CLASS_INVALID_TARGET) ||
        (c->column == DEP_COLUMN_WORKLOAD && decision->class == DEP_CLASS_INVALID_CLIENT))
        decision->class = DEP_CLASS_INVALID_GRANT;
    redirect_refusal(c, check);
    decision->check = check->name;
    decision->has_token = false;
    keep_reducing_effects(decision);
    /* A nonce goes out with every refusal of a proof for want of one, and with no other refusal. */
    if (decision->class == DEP_CLASS_USE_DPOP_NONCE && c->policy->dpop.nonce != NULL)
        decision->nonce = dep_dpop_nonce(c->arena, c->crypto, &c->policy->dpop, c->now);
}

/* Runs the rows of the request's column. False: facts are missing. */
static bool run_checks(struct dep_ctx *c)
{
    struct dep_decision *decision = c->decision;

    for (size_t i = 0; i < ROWS; i++) {
        const struct dep_check *check = &matrix[i];

        if (!(check->columns & 1u << c->column) || (c->request->is_preview && (check->columns & PROOF) != 0))
            continue;
        if (decision->needs_count > 0 && !check->is_load)
            return false;

        struct dep_res res = check->run(c);

        decision->checks_run[i / 64] |= UINT64_C(1) << i % 64;
        if (!dep_is_ok(res)) {
            decision->needs_count = 0;
            refuse(c, check, res.err);
            return true;
        }
    }
    return decision->needs_count == 0;
}

static struct dep_str make_id(struct dep_arena *arena, int64_t now, const unsigned char *random)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, arena, DEP_ULID_LEN);
    dep_ulid_put(&buf, now * 1000, random);
    return dep_buf_str(&buf);
}

static struct dep_str make_trace(struct dep_ctx *c)
{
    struct dep_buf buf;
    unsigned char bits[8 * DEP_CHECK_WORDS];

    for (unsigned i = 0; i < sizeof(bits); i++)
        bits[sizeof(bits) - 1 - i] = (unsigned char)(c->decision->checks_run[i / 8] >> i % 8 * 8);
    dep_buf_init_arena(&buf, c->arena, 96);
    dep_buf_put_c(&buf, column_names[c->column]);
    dep_buf_put_char(&buf, ':');
    dep_buf_put_hex(&buf, bits, sizeof(bits));
    return dep_buf_str(&buf);
}

bool dep_trace_has(struct dep_str trace, size_t i)
{
    struct dep_str digits = dep_str_sub(trace, dep_str_find(trace, ':') + 1, trace.len);
    char c;

    if (i / 4 >= digits.len)
        return false;
    c = digits.ptr[digits.len - 1 - i / 4];
    if (c >= '0' && c <= '9')
        return (c - '0') >> i % 4 & 1;
    return c >= 'a' && c <= 'f' && ((c - 'a' + 10) >> i % 4 & 1) != 0;
}

static struct dep_str event_of(const struct dep_ctx *c, bool is_allowed)
{
    switch (c->column) {
    case DEP_COLUMN_TOKEN:
    case DEP_COLUMN_CLIENT_CREDENTIALS:
    case DEP_COLUMN_WORKLOAD:
        return is_allowed ? DEP_STR("token.issued") : DEP_STR("token.refused");
    case DEP_COLUMN_TOKEN_EXCHANGE:
    case DEP_COLUMN_JWT_BEARER:
        if (is_allowed && c->issued != DEP_ISSUED_ACCESS_TOKEN)
            return DEP_STR("grant.issued");
        return is_allowed ? DEP_STR("token.exchanged") : DEP_STR("token.refused");
    case DEP_COLUMN_INTROSPECT:
        return is_allowed ? DEP_STR("token.introspected") : DEP_STR("introspection.refused");
    case DEP_COLUMN_REVOKE:
        return is_allowed ? DEP_STR("token.revoked") : DEP_STR("revocation.refused");
    case DEP_COLUMN_AUTHORIZATION_CODE:
        return is_allowed ? DEP_STR("token.issued") : DEP_STR("token.refused");
    case DEP_COLUMN_REFRESH_TOKEN:
        return is_allowed ? DEP_STR("token.refreshed") : DEP_STR("token.refused");
    case DEP_COLUMN_PAR:
        return is_allowed ? DEP_STR("consent.pushed") : DEP_STR("consent.refused");
    case DEP_COLUMN_AUTHORIZE:
        return is_allowed ? DEP_STR("consent.asked") : DEP_STR("consent.refused");
    case DEP_COLUMN_CONSENT:
        return is_allowed ? DEP_STR("consent.given") : DEP_STR("consent.refused");
    case DEP_COLUMN_AGENTS:
        return is_allowed ? DEP_STR("agent.registered") : DEP_STR("agent.refused");
    case DEP_COLUMN_FEED:
        return is_allowed ? DEP_STR("feed.read") : DEP_STR("feed.refused");
    case DEP_COLUMN_METADATA:
    case DEP_COLUMN_JWKS:
    case DEP_COLUMN_CHECKPOINT:
    case DEP_COLUMNS:
        break;
    }
    return is_allowed ? DEP_STR("document.read") : DEP_STR("document.refused");
}

/* Which workload of which platform the client was, verified or not said. */
static struct dep_str workload_detail(struct dep_ctx *c)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, c->arena, c->workload.iss.len + c->workload.sub.len + 64);
    dep_buf_put_c(&buf, "workload ");
    dep_buf_put(&buf, c->workload.sub);
    dep_buf_put_c(&buf, " of ");
    dep_buf_put(&buf, c->workload.iss);
    return dep_buf_str(&buf);
}

/* Which certificate it was, by the thumbprint that tokens bound to it carry (rfc8705#3.1). */
static struct dep_str certificate_detail(struct dep_ctx *c)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, c->arena, DEP_JKT_LEN + 64);
    dep_buf_put_c(&buf, "client certificate ");
    dep_b64url_put(&buf, c->certificate->thumbprint, sizeof(c->certificate->thumbprint));
    return dep_buf_str(&buf);
}

static struct dep_str foreign_detail(struct dep_ctx *c)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, c->arena, c->foreign.iss.len + c->subject.token.jti.len + 64);
    dep_buf_put_c(&buf, "subject of ");
    dep_buf_put(&buf, c->foreign.iss);
    if (!dep_str_is_absent(c->subject.token.jti)) {
        dep_buf_put_c(&buf, " jti ");
        dep_buf_put(&buf, c->subject.token.jti);
    }
    return dep_buf_str(&buf);
}

const char *dep_limit_name(enum dep_limit limit)
{
    static const char *const names[] = {
        [DEP_LIMIT_NONE] = "allowed",    [DEP_LIMIT_SUBJECT] = "subject token", [DEP_LIMIT_CEILING] = "ceiling",
        [DEP_LIMIT_EDGE] = "delegation", [DEP_LIMIT_RESOURCE] = "resource",     [DEP_LIMIT_ISSUER] = "issuer",
    };

    return names[limit];
}

/* "cal:write: ceiling of agent:… at https://…" */
static void put_limit(struct dep_buf *buf, const struct dep_scope_verdict *verdict)
{
    if (buf->len > 0)
        dep_buf_put_c(buf, "; ");
    dep_buf_put(buf, verdict->scope);
    dep_buf_put_c(buf, ": ");
    dep_buf_put_c(buf, dep_limit_name(verdict->limit));
    if (!dep_str_is_absent(verdict->who)) {
        dep_buf_put_c(buf, " of ");
        dep_buf_put(buf, verdict->who);
    }
    if (!dep_str_is_absent(verdict->where)) {
        dep_buf_put_c(buf, " at ");
        dep_buf_put(buf, verdict->where);
    }
}

#define LIMITS_MAX 2048u

/* Of an over-ask: what would have been allowed, and what says no to the rest. What does not fit is left out. */
static void fill_limits(struct dep_ctx *c)
{
    const struct dep_decision *decision = c->decision;
    struct dep_buf allowed, limits;

    if (decision->scopes_count == 0 || decision->answer != DEP_ANSWER_REFUSAL)
        return;
    dep_buf_init_arena(&allowed, c->arena, DEP_P(c, SCOPE).len + 1);
    dep_buf_init_arena(&limits, c->arena, LIMITS_MAX);
    for (size_t i = 0; i < decision->scopes_count && !limits.has_failed; i++) {
        if (decision->scopes[i].limit == DEP_LIMIT_NONE)
            dep_scope_put(&allowed, decision->scopes[i].scope);
        else
            put_limit(&limits, &decision->scopes[i]);
    }
    dep_buf_fit(&limits, c->arena);
    c->decision->record.allowed_scope = allowed.len == 0 ? DEP_STR("") : dep_buf_str(&allowed);
    if (!limits.has_failed)
        c->decision->record.limits = dep_buf_str(&limits);
}

/* The audit record of what was decided. */
static void fill_record(struct dep_ctx *c)
{
    struct dep_decision *decision = c->decision;
    struct dep_audit_record *record = &decision->record;
    bool is_allowed = decision->answer != DEP_ANSWER_REFUSAL;

    record->ts = c->now;
    record->id = decision->id;
    record->node = DEP_STR("as");
    record->event = event_of(c, is_allowed);
    record->is_allowed = is_allowed;
    record->reason = decision->reason;
    record->check = dep_str_c(decision->check);
    record->trace = make_trace(c);
    /* Only a client we know: what a stranger sends as client_id may be anything, a secret included. */
    if (c->client != NULL)
        record->client = c->client->id;
    if (c->agent != NULL)
        record->principal = c->agent->id;
    record->method = c->request->method;
    record->path = c->request->path;
    record->peer = c->request->peer;
    if (c->is_scope_good)
        record->asked_scope = DEP_P(c, SCOPE);
    fill_limits(c);
    record->asked_targets = c->targets_asked;
    record->asked_targets_count = c->is_target_good ? c->targets_asked_count : 0;
    if (decision->answer == DEP_ANSWER_CHILD)
        record->target = decision->child.id;
    if (decision->has_ticket)
        record->target = decision->ticket.id;
    else if (c->has_ticket)
        record->target = c->ticket.id;
    if (decision->has_token)
        record->token = &decision->token;
    else if (c->presented.token.exp > 0 && c->column == DEP_COLUMN_AGENTS)
        record->token = &c->presented.token;
    else if (c->subject.token.exp > 0)
        record->token = &c->subject.token;
    /* A foreign token is evidence, recorded by its issuer, its jti and its act (D21). */
    if (c->is_foreign && c->foreign.issuer != NULL)
        record->detail = foreign_detail(c);
    else if (c->workload.is_good)
        record->detail = workload_detail(c);
    else if (c->method == DEP_CLIENT_AUTH_TLS)
        record->detail = certificate_detail(c);
    record->foreign_chain = c->foreign.actors;
    record->foreign_chain_count = c->foreign.actors_count;
}

struct dep_res dep_decide(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_policy *policy,
                          const struct dep_request *request, const struct dep_facts *facts, int64_t now,
                          const unsigned char random[DEP_RANDOM_LEN], struct dep_decision *ret_decision)
{
    struct dep_ctx *c = DEP_NEW(arena, struct dep_ctx);

    if (c == NULL)
        return DEP_FAIL(ARENA_FULL);
    *ret_decision = (struct dep_decision){ .answer = DEP_ANSWER_REFUSAL };
    *c = (struct dep_ctx){
        .arena = arena,
        .crypto = crypto,
        .policy = policy,
        .request = request,
        .facts = facts,
        .decision = ret_decision,
        .now = now,
        .random = random,
        .column = column_of(request->endpoint),
    };
    DEP_ASSERT(c->column < DEP_COLUMNS);
    ret_decision->id = make_id(arena, now, random);
    if (dep_str_is_absent(ret_decision->id))
        return DEP_FAIL(ARENA_FULL);
    if (!run_checks(c))
        return DEP_OK;
    if (ret_decision->check == NULL)
        DEP_TRY(dep_answer_build(c));
    ret_decision->column = c->column;
    ret_decision->used_authorization = c->method == DEP_CLIENT_AUTH_BASIC;
    fill_record(c);
    if (request->is_preview)
        ret_decision->effects_count = 0; /* nothing follows from a question */
    return DEP_OK;
}
