/* Answers on the wire (RFC 6749 section 5, RFC 7662 section 2.2, RFC 9449 section 8, RFC 9457). */
#include "proto/wire.h"

#include "proto/page.h"
#include "proto/redirect.h"

#define BODY_BYTES_MAX 1024u
/* A name, not an address: `deputy explain <slug>` resolves it without a network. */
#define PROBLEM_BASE "urn:deputy:error:"

static const struct dep_wire wires[DEP_CLASS_COUNT] = {
#define DEP_WIRE(class, status, error, slug, is_retriable) \
    [DEP_CLASS_##class] = { DEP_CLASS_##class, status, error, slug, is_retriable },
#include "proto/wire.def"
#undef DEP_WIRE
};

const struct dep_wire *dep_wire_of(enum dep_class class)
{
    DEP_ASSERT((unsigned)class < DEP_CLASS_COUNT && wires[class].status != 0);
    return &wires[class];
}

void dep_wire_header(struct dep_wire_answer *answer, const char *name, struct dep_str value)
{
    DEP_ASSERT(answer->headers_count < DEP_WIRE_HEADERS_MAX);
    answer->headers[answer->headers_count++] = (struct dep_header){ dep_str_c(name), value };
}

/* Who failed to authenticate, or to show a good token, learns no more than that: anything finer is an oracle. */
struct dep_str dep_wire_description(enum dep_err reason, enum dep_class class)
{
    if (class == DEP_CLASS_INVALID_CLIENT)
        return DEP_STR("client authentication failed; check client_id, method and secret, or sign a fresh assertion "
                       "whose aud is the "
                       "issuer alone");
    if (class == DEP_CLASS_INVALID_TOKEN)
        return DEP_STR("the access token is expired, revoked, malformed, or not valid for this resource");
    return dep_str_c(dep_err_text(reason));
}

static void common_headers(struct dep_wire_answer *answer, const char *type, struct dep_str id)
{
    dep_wire_header(answer, "Content-Type", dep_str_c(type));
    dep_wire_header(answer, "Cache-Control", DEP_STR("no-store"));
    if (!dep_str_is_absent(id))
        dep_wire_header(answer, "Deputy-Decision", id);
}

static void retry_header(struct dep_arena *arena, struct dep_wire_answer *answer, int64_t retry_after_s)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, arena, 24);
    dep_buf_put_int(&buf, retry_after_s > 0 ? retry_after_s : 1);
    if (!buf.has_failed)
        dep_wire_header(answer, "Retry-After", dep_buf_str(&buf));
}

static struct dep_res error_body(struct dep_arena *arena, enum dep_err reason, enum dep_class class, struct dep_str id,
                                 struct dep_wire_answer *answer)
{
    struct dep_json_writer writer;
    struct dep_buf body, text;

    dep_buf_init_arena(&body, arena, BODY_BYTES_MAX);
    dep_buf_init_arena(&text, arena, BODY_BYTES_MAX / 2);
    dep_put_error_text(&text, dep_wire_description(reason, class));
    dep_json_begin(&writer, &body);
    dep_json_open(&writer, '{');
    dep_json_member(&writer, "error", dep_str_c(dep_wire_of(class)->error));
    dep_json_member(&writer, "error_description", dep_buf_str(&text));
    dep_json_member(&writer, "decision", id);
    dep_json_close(&writer, '}');
    if (body.has_failed || text.has_failed)
        return DEP_FAIL(ARENA_FULL);
    answer->body = dep_buf_str(&body);
    return DEP_OK;
}

/* Where a token is the credential, this server is a resource server: rfc6750#3, rfc9449#7.1. */
static struct dep_res put_challenge(struct dep_arena *arena, const struct dep_decision *decision,
                                    struct dep_wire_answer *answer)
{
    bool is_proof = decision->class == DEP_CLASS_INVALID_DPOP_PROOF || decision->class == DEP_CLASS_USE_DPOP_NONCE;
    struct dep_challenge challenge = { .scheme = "Bearer", .scope = DEP_STR(DEP_SCOPE_AGENTS) };
    struct dep_buf buf;

    if (!is_proof && decision->class != DEP_CLASS_NO_TOKEN && decision->class != DEP_CLASS_INVALID_TOKEN &&
        decision->class != DEP_CLASS_CERTIFICATE && decision->class != DEP_CLASS_INSUFFICIENT_SCOPE)
        return DEP_OK;
    if (decision->class != DEP_CLASS_NO_TOKEN)
        challenge.error = dep_str_c(dep_wire_of(decision->class)->error);
    dep_buf_init_arena(&buf, arena, BODY_BYTES_MAX / 2);
    if (!is_proof)
        dep_challenge_put(&buf, &challenge);
    challenge.scheme = "DPoP";
    challenge.algs = DEP_STR("ES256 EdDSA");
    dep_challenge_put(&buf, &challenge);
    if (buf.has_failed)
        return DEP_FAIL(ARENA_FULL);
    dep_buf_fit(&buf, arena);
    dep_wire_header(answer, "WWW-Authenticate", dep_buf_str(&buf));
    if (is_proof)
        answer->status = 401;
    return DEP_OK;
}

/* What the client is told by way of the browser (oauth-v2-1#4.1.2, rfc9207#2): iss with every answer. 303: the browser follows with GET, and
 * takes no body along (oauth-v2-1#7.5.3). */
static struct dep_res write_redirect(struct dep_arena *arena, const struct dep_decision *decision,
                                     struct dep_wire_answer *answer)
{
    bool is_refusal = decision->answer == DEP_ANSWER_REFUSAL;
    const struct dep_form_field fields[] = {
        { DEP_STR("code"), is_refusal ? DEP_STR_ABSENT : decision->sealed },
        { DEP_STR("error"), is_refusal ? dep_str_c(dep_wire_of(decision->class)->error) : DEP_STR_ABSENT },
        { DEP_STR("error_description"),
          is_refusal ? dep_wire_description(decision->reason, decision->class) : DEP_STR_ABSENT },
        { DEP_STR("state"), decision->state },
        { DEP_STR("iss"), decision->issuer },
    };
    struct dep_str url;

    DEP_TRY(dep_redirect_url(arena, decision->redirect_uri, fields, sizeof(fields) / sizeof(fields[0]), &url));
    answer->status = 303;
    dep_wire_header(answer, "Location", url);
    dep_wire_header(answer, "Referrer-Policy", DEP_STR("no-referrer"));
    dep_wire_header(answer, "X-Frame-Options", DEP_STR("DENY"));
    return DEP_OK;
}

static bool takes_get(enum dep_column column)
{
    return column == DEP_COLUMN_FEED || column == DEP_COLUMN_AUTHORIZE || column < DEP_COLUMN_TOKEN;
}

static struct dep_res write_refusal(struct dep_arena *arena, const struct dep_decision *decision,
                                    struct dep_wire_answer *answer)
{
    const struct dep_wire *wire = dep_wire_of(decision->class);

    if (!dep_str_is_absent(decision->redirect_uri))
        return write_redirect(arena, decision, answer);
    answer->status = wire->status;
    if (decision->column == DEP_COLUMN_AGENTS)
        DEP_TRY(put_challenge(arena, decision, answer));
    if (wire->error == NULL) { /* rfc7662#2.2: inactive, and not a word more */
        answer->body = DEP_STR("{\"active\":false}");
        return DEP_OK;
    }
    if (decision->class == DEP_CLASS_INVALID_CLIENT && decision->used_authorization)
        dep_wire_header(answer, "WWW-Authenticate", DEP_STR("Basic realm=\"deputy\""));
    if (decision->class == DEP_CLASS_METHOD)
        dep_wire_header(answer, "Allow", takes_get(decision->column) ? DEP_STR("GET") : DEP_STR("POST"));
    if (!dep_str_is_absent(decision->nonce))
        dep_wire_header(answer, "DPoP-Nonce", decision->nonce);
    if (wire->status == 429 || wire->status == 503)
        retry_header(arena, answer, decision->retry_after_s);
    if (decision->column == DEP_COLUMN_AUTHORIZE || decision->column == DEP_COLUMN_CONSENT)
        return dep_page_refusal(arena, decision, answer);
    return error_body(arena, decision->reason, decision->class, decision->id, answer);
}

/* What is not an access token has no type of use (rfc8693#2.2.1). */
static struct dep_str token_type(const struct dep_decision *decision)
{
    if (decision->issued != DEP_ISSUED_ACCESS_TOKEN)
        return DEP_STR("N_A");
    return dep_str_is_absent(decision->token.jkt) ? DEP_STR("Bearer") : DEP_STR("DPoP");
}

static struct dep_res write_token(struct dep_arena *arena, const struct dep_decision *decision, struct dep_str jwt,
                                  struct dep_wire_answer *answer)
{
    const struct dep_token *token = &decision->token;
    struct dep_json_writer writer;
    struct dep_buf body;

    dep_buf_init_arena(&body, arena, jwt.len + decision->sealed.len + token->scope.len + BODY_BYTES_MAX / 2);
    dep_json_begin(&writer, &body);
    dep_json_open(&writer, '{');
    dep_json_member(&writer, "access_token", jwt);
    dep_json_member(&writer, "token_type", token_type(decision));
    dep_json_member_int(&writer, "expires_in", token->exp - token->iat);
    dep_json_member(&writer, "scope", token->scope);
    dep_json_member(&writer, "refresh_token", decision->sealed);
    if (decision->is_exchange)
        dep_json_member(&writer, "issued_token_type", dep_issued_urn(decision->issued));
    dep_json_close(&writer, '}');
    if (body.has_failed)
        return DEP_FAIL(ARENA_FULL);
    dep_buf_fit(&body, arena);
    answer->body = dep_buf_str(&body);
    if (!dep_str_is_absent(decision->nonce)) /* rfc9449#8.2 */
        dep_wire_header(answer, "DPoP-Nonce", decision->nonce);
    return DEP_OK;
}

/* rfc9126#2.2 */
static struct dep_res write_pushed(struct dep_arena *arena, const struct dep_decision *decision,
                                   struct dep_wire_answer *answer)
{
    struct dep_json_writer writer;
    struct dep_buf body, uri;

    dep_buf_init_arena(&uri, arena, decision->sealed.len + 64);
    dep_buf_put_c(&uri, DEP_REQUEST_URI_PREFIX);
    dep_buf_put(&uri, decision->sealed);
    dep_buf_init_arena(&body, arena, uri.len + 128);
    dep_json_begin(&writer, &body);
    dep_json_open(&writer, '{');
    dep_json_member(&writer, "request_uri", dep_buf_str(&uri));
    dep_json_member_int(&writer, "expires_in", decision->ticket.expires - decision->ticket.made);
    dep_json_close(&writer, '}');
    if (uri.has_failed || body.has_failed)
        return DEP_FAIL(ARENA_FULL);
    answer->status = 201;
    answer->body = dep_buf_str(&body);
    if (!dep_str_is_absent(decision->nonce))
        dep_wire_header(answer, "DPoP-Nonce", decision->nonce);
    return DEP_OK;
}

/* The token's claims with "active" in front (rfc7662#2.2, rfc9449#6.2). */
static struct dep_res write_active(struct dep_arena *arena, const struct dep_decision *decision,
                                   struct dep_wire_answer *answer)
{
    struct dep_json_writer writer;
    struct dep_buf claims, body;

    dep_buf_init_arena(&claims, arena, 8192);
    dep_json_begin(&writer, &claims);
    dep_token_write(&writer, &decision->token);
    dep_buf_init_arena(&body, arena, claims.len + 64);
    dep_buf_put(&body, DEP_STR("{\"active\":true,\"token_type\":"));
    dep_buf_put(&body, dep_str_is_absent(decision->token.jkt) ? DEP_STR("\"Bearer\",") : DEP_STR("\"DPoP\","));
    dep_buf_put(&body, dep_str_sub(dep_buf_str(&claims), 1, claims.len));
    if (claims.has_failed || body.has_failed)
        return DEP_FAIL(ARENA_FULL);
    answer->body = dep_buf_str(&body);
    return DEP_OK;
}

struct dep_res dep_wire_write(struct dep_arena *arena, const struct dep_decision *decision, struct dep_str jwt,
                              struct dep_wire_answer *ret_answer)
{
    bool is_page = decision->column == DEP_COLUMN_AUTHORIZE || decision->column == DEP_COLUMN_CONSENT;

    *ret_answer = (struct dep_wire_answer){ .status = 200, .body = DEP_STR("") };
    common_headers(ret_answer, is_page ? "text/html; charset=utf-8" : "application/json", decision->id);
    switch (decision->answer) {
    case DEP_ANSWER_REFUSAL:
        return write_refusal(arena, decision, ret_answer);
    case DEP_ANSWER_TOKEN:
        return write_token(arena, decision, jwt, ret_answer);
    case DEP_ANSWER_ACTIVE:
        return write_active(arena, decision, ret_answer);
    case DEP_ANSWER_PUSHED:
        return write_pushed(arena, decision, ret_answer);
    case DEP_ANSWER_PAGE:
        return dep_page_consent(arena, decision, ret_answer);
    case DEP_ANSWER_CODE:
        return write_redirect(arena, decision, ret_answer);
    case DEP_ANSWER_EMPTY:
        return DEP_OK;
    case DEP_ANSWER_CHILD: /* the shell puts the body */
        ret_answer->status = 201;
        return DEP_OK;
    case DEP_ANSWER_DOCUMENT:
    case DEP_ANSWER_FEED:
        break;
    }
    DEP_ASSERT(false && "the shell has this answer's body");
    return DEP_FAIL(BUF_FULL);
}

struct dep_res dep_wire_refuse(struct dep_arena *arena, enum dep_err reason, struct dep_str id, int64_t retry_after_s,
                               struct dep_wire_answer *ret_answer)
{
    struct dep_decision decision = {
        .answer = DEP_ANSWER_REFUSAL,
        .reason = reason,
        .class = dep_err_class(reason) == DEP_CLASS_DOOR ? DEP_CLASS_INVALID_REQUEST : dep_err_class(reason),
        .column = DEP_COLUMN_TOKEN,
        .id = id,
        .retry_after_s = retry_after_s,
    };

    return dep_wire_write(arena, &decision, DEP_STR_ABSENT, ret_answer);
}

/* What to do next, where the class alone does not say it. NULL: nothing to add. */
static const char *suggestion_of(enum dep_class class)
{
    static const char *const suggestions[DEP_CLASS_COUNT] = {
        [DEP_CLASS_KEY_REUSED] =
            "for another request take a new Idempotency-Key; for a retry send the first request unchanged",
        [DEP_CLASS_IN_FLIGHT] = "wait as Retry-After says, then send the same request with the same Idempotency-Key",
        [DEP_CLASS_OUTCOME_UNKNOWN] =
            "look whether the write took effect; take a new Idempotency-Key only when it did not",
        [DEP_CLASS_ANSWER_NOT_KEPT] = "do not send it again: read what it made or changed",
    };

    return suggestions[class];
}

/* How long to wait before the same request may be sent again; 0: it is not said. */
static int64_t retry_after_of(const struct dep_wire *wire)
{
    return wire->status == 429 || wire->status == 503 || wire->class == DEP_CLASS_IN_FLIGHT ? 1 : 0;
}

static void put_advice(struct dep_json_writer *writer, const struct dep_wire *wire)
{
    const char *suggestion = suggestion_of(wire->class);

    dep_json_member_bool(writer, "is_retriable", wire->is_retriable);
    if (retry_after_of(wire) > 0)
        dep_json_member_int(writer, "retry_after_ms", 1000 * retry_after_of(wire));
    if (suggestion == NULL)
        return;
    dep_json_name(writer, "suggestions");
    dep_json_open(writer, '[');
    dep_json_put_str(writer, dep_str_c(suggestion));
    dep_json_close(writer, ']');
}

struct dep_res dep_wire_problem(struct dep_arena *arena, enum dep_err reason, struct dep_str detail, struct dep_str id,
                                struct dep_wire_answer *ret_answer)
{
    enum dep_class class = dep_err_class(reason);
    const struct dep_wire *wire = dep_wire_of(class == DEP_CLASS_DOOR ? DEP_CLASS_INVALID_REQUEST : class);
    struct dep_json_writer writer;
    struct dep_buf body, type;

    *ret_answer = (struct dep_wire_answer){ .status = wire->status };
    common_headers(ret_answer, "application/problem+json", id);
    if (retry_after_of(wire) > 0)
        retry_header(arena, ret_answer, retry_after_of(wire));
    dep_buf_init_arena(&type, arena, 128);
    dep_buf_put_c(&type, PROBLEM_BASE);
    dep_buf_put_c(&type, wire->slug);
    dep_buf_init_arena(&body, arena, 2 * BODY_BYTES_MAX);
    dep_json_begin(&writer, &body);
    dep_json_open(&writer, '{');
    dep_json_member(&writer, "type", dep_buf_str(&type));
    dep_json_member(&writer, "title", dep_str_c(dep_class_text(wire->class)));
    dep_json_member_int(&writer, "status", wire->status);
    dep_json_member(&writer, "detail", dep_str_is_absent(detail) ? dep_str_c(dep_err_text(reason)) : detail);
    dep_json_member(&writer, "code", dep_str_c(dep_err_name(reason)));
    put_advice(&writer, wire);
    dep_json_member(&writer, "trace_id", id);
    dep_json_close(&writer, '}');
    if (body.has_failed || type.has_failed)
        return DEP_FAIL(ARENA_FULL);
    ret_answer->body = dep_buf_str(&body);
    return DEP_OK;
}
