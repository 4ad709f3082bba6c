/* Records: read strictly, written so that they are read again. Blank never means "any" (attack cases H14, I-group). */
#include "proto/records.h"
#include "test/unit.h"

static _Alignas(16) unsigned char memory[1 << 18];
static struct dep_arena arena;

enum kind { AGENT, CLIENT, RESOURCE, KEY, REVOCATION, ISSUER };

#define U "01J00000000000000000000001"
#define A "agent:" U
#define HASH "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define RIGHTS "[{\"resource\":\"https://a.example\",\"scopes\":[\"read\",\"write\"]}]"

/* The least of each kind, its braces left off: rows append members. */
static const char *const least[] = {
    [AGENT] = ("\"id\":\"" A "\",\"name\":\"n\",\"owner\":\"o\",\"org\":\"acme\",\"ceiling\":" RIGHTS),
    [CLIENT] = ("\"id\":\"" U "\",\"name\":\"n\",\"agent\":\"" A "\",\"auth\":\"client_secret_basic\""),
    [RESOURCE] = ("\"id\":\"https://a.example\",\"name\":\"n\",\"scopes\":[\"read\",\"write\"]"),
    [KEY] = ("\"kid\":\"k\",\"alg\":\"ES256\",\"state\":\"active\",\"der\":\"AAAA\""),
    [REVOCATION] = ("\"kind\":\"agent\",\"id\":\"" A "\""),
    [ISSUER] = ("\"id\":\"https://"
                "idp.example\",\"name\":\"corp\",\"org\":\"acme\",\"uses\":[\"subject\"],\"ceiling\":" RIGHTS),
};

union record {
    struct dep_agent agent;
    struct dep_client client;
    struct dep_resource resource;
    struct dep_key key;
    struct dep_revocation revocation;
    struct dep_trusted_issuer issuer;
};

static struct dep_res read_json(enum kind kind, struct dep_str text, union record *ret_record)
{
    struct dep_json *json = NULL;

    DEP_TRY(dep_json_parse(&arena, text, 16, &json));
    switch (kind) {
    case AGENT:
        return dep_agent_read(&arena, json, &ret_record->agent);
    case CLIENT:
        return dep_client_read(&arena, json, &ret_record->client);
    case RESOURCE:
        return dep_resource_read(&arena, json, &ret_record->resource);
    case KEY:
        return dep_key_read(&arena, json, &ret_record->key);
    case REVOCATION:
        return dep_revocation_read(&arena, json, &ret_record->revocation);
    case ISSUER:
        break;
    }
    return dep_trusted_issuer_read(&arena, json, &ret_record->issuer);
}

static struct dep_str write_json(enum kind kind, const union record *record)
{
    struct dep_json_writer writer;
    struct dep_buf buf;

    dep_buf_init_arena(&buf, &arena, 8192);
    dep_json_begin(&writer, &buf);
    switch (kind) {
    case AGENT:
        dep_agent_write(&writer, &record->agent);
        break;
    case CLIENT:
        dep_client_write(&writer, &record->client, true);
        break;
    case RESOURCE:
        dep_resource_write(&writer, &record->resource);
        break;
    case KEY:
        dep_key_write(&writer, &record->key, true);
        break;
    case REVOCATION:
        dep_revocation_write(&writer, &record->revocation);
        break;
    case ISSUER:
        dep_trusted_issuer_write(&writer, &record->issuer);
        break;
    }
    return dep_buf_str(&buf);
}

/* The least of the kind, with `more`, and without the member called `without`. */
static struct dep_res read_with(enum kind kind, const char *without, const char *more, union record *ret_record)
{
    char text[2048];

    if (without == NULL) {
        (void)snprintf(text, sizeof(text), "{%s%s}", least[kind], more);
    } else {
        char name[64];
        const char *at, *end;
        size_t len;

        (void)snprintf(name, sizeof(name), "\"%s\":", without);
        at = strstr(least[kind], name);
        DEP_ASSERT(at != NULL);
        len = (size_t)(at - least[kind]);
        end = at[strlen(name)] == '[' ? NULL : strstr(at, ",\""); /* lists stand last, but for `uses` */
        if (strcmp(without, "uses") == 0)
            end = strstr(at, ",\"ceiling");
        if (end == NULL)
            (void)snprintf(text, sizeof(text), "{%.*s%s}", (int)len - 1, least[kind], more);
        else
            (void)snprintf(text, sizeof(text), "{%.*s%s%s}", (int)len, least[kind], end + 1, more);
    }
    dep_arena_reset(&arena);
    return read_json(kind, dep_arena_dup(&arena, dep_str(text, strlen(text))), ret_record);
}

DEP_TEST(the_least_of_each_kind)
{
    for (int kind = AGENT; kind <= ISSUER; kind++) {
        union record record;

        DEP_CHECK_OK(t, read_with((enum kind)kind, NULL, "", &record));
    }
}

DEP_TEST(refuses_unknown_and_duplicate_members)
{
    for (int kind = AGENT; kind <= ISSUER; kind++) {
        union record record;

        DEP_CHECK_FAIL(t, read_with((enum kind)kind, NULL, ",\"is_admin\":true", &record), ADMIN_INPUT);
        DEP_CHECK_FAIL(t, read_with((enum kind)kind, NULL, ",\"\":1", &record), ADMIN_INPUT);
        DEP_CHECK(t, !dep_is_ok(read_with((enum kind)kind, NULL, ",\"created\":1,\"created\":2", &record)));
        DEP_CHECK_FAIL(t, read_with((enum kind)kind, NULL, ",\"state \":\"active\"", &record), ADMIN_INPUT);
        DEP_CHECK_OK(t, read_with((enum kind)kind, NULL, "", &record));
    }
}

static const struct {
    enum kind kind;
    const char *name;
} required[] = {
    { AGENT, "id" },      { AGENT, "name" },      { AGENT, "owner" },  { AGENT, "org" },       { CLIENT, "id" },
    { CLIENT, "name" },   { CLIENT, "auth" },     { CLIENT, "agent" }, { RESOURCE, "id" },     { RESOURCE, "name" },
    { KEY, "kid" },       { KEY, "alg" },         { KEY, "state" },    { REVOCATION, "kind" }, { REVOCATION, "id" },
    { ISSUER, "id" },     { ISSUER, "name" },     { ISSUER, "org" },   { ISSUER, "uses" },     { ISSUER, "ceiling" },
    { AGENT, "ceiling" }, { RESOURCE, "scopes" },
};

DEP_TEST(what_must_be_there_is_text_and_not_blank)
{
    static const char *const wrong[] = { "\"\"", "null", "5", "true", "{}" };

    for (size_t i = 0; i < DEP_COUNT(required); i++) {
        union record record;
        char more[64];

        dep_test_check(t, !dep_is_ok(read_with(required[i].kind, required[i].name, "", &record)), __FILE__, __LINE__,
                       "kind %d without %s", (int)required[i].kind, required[i].name);
        for (size_t k = 0; k < DEP_COUNT(wrong); k++) {
            (void)snprintf(more, sizeof(more), ",\"%s\":%s", required[i].name, wrong[k]);
            dep_test_check(t, !dep_is_ok(read_with(required[i].kind, required[i].name, more, &record)), __FILE__,
                           __LINE__, "kind %d, %s %s", (int)required[i].kind, required[i].name, wrong[k]);
        }
    }
}

static const struct {
    enum kind kind;
    const char *without, *more; /* the member replaced, and what comes instead */
    bool is_good;
} rows[] = {
    { AGENT, NULL, ",\"state\":\"suspended\",\"parent\":\"agent:01J00000000000000000000002\"", true },
    { AGENT, NULL, ",\"state\":\"gone\"", false },
    { AGENT, NULL, ",\"state\":\"Active\"", false },
    { AGENT, NULL, ",\"parent\":\"\"", false },
    { AGENT, NULL, ",\"parent\":\"somebody\"", false },
    { AGENT, NULL, ",\"purpose\":\"\"", false },
    { AGENT, NULL, ",\"purpose\":null", true },
    { AGENT, NULL, ",\"created\":-1", false },
    { AGENT, NULL, ",\"created\":\"1\"", false },
    { AGENT, "id", ",\"id\":\"agent:*\"", false },
    { AGENT, "id", ",\"id\":\"" U "\"", false },
    { AGENT, "org", ",\"org\":\"two words\"", false },
    { AGENT, "ceiling", ",\"ceiling\":[]", true },
    { AGENT, "ceiling", ",\"ceiling\":[{\"resource\":\"\",\"scopes\":[\"read\"]}]", false },
    { AGENT, "ceiling", ",\"ceiling\":[{\"resource\":\"https://a.example\",\"scopes\":[]}]", false },
    { AGENT, "ceiling", ",\"ceiling\":[{\"resource\":\"https://a.example\",\"scopes\":[\"read read\"]}]", false },
    { AGENT, "ceiling", ",\"ceiling\":[{\"resource\":\"https://a.example\",\"scopes\":[\"read\",\"read\"]}]", false },
    { AGENT, "ceiling", ",\"ceiling\":[{\"resource\":\"https://a.example#f\",\"scopes\":[\"read\"]}]", false },
    { AGENT, "ceiling", ",\"ceiling\":[{\"resource\":\"https://a.example\",\"scopes\":[\"read\"],\"all\":true}]",
      false },
    { AGENT, "ceiling",
      ",\"ceiling\":[{\"resource\":\"https://a.example\",\"scopes\":[\"a\"]},{\"resource\":\"https://a.example\","
      "\"scopes\":[\"b\"]}]",
      false },
    { CLIENT, NULL, ",\"grants\":[\"client_credentials\"],\"needs_dpop\":true", true },
    { CLIENT, NULL, ",\"grants\":[\"password\"]", false },
    { CLIENT, NULL, ",\"grants\":\"client_credentials\"", false },
    { CLIENT, NULL, ",\"needs_dpop\":\"false\"", false },
    { CLIENT, NULL, ",\"resource\":\"https://a.example\"", false }, /* an agent's or a resource's, not both */
    { CLIENT, "agent", ",\"resource\":\"https://a.example\"", true },
    { CLIENT, "agent", ",\"resource\":\"https://a.example\",\"grants\":[\"client_credentials\"]", false },
    { CLIENT, "auth", ",\"auth\":\"none\"", false },
    { CLIENT, "auth", ",\"auth\":\"tls_client_auth\"", false },
    { CLIENT, "auth", ",\"auth\":\"private_key_jwt\"", false },
    { CLIENT, "auth", ",\"auth\":\"private_key_jwt\",\"jwks\":{\"keys\":[]}", true }, /* its keys are read elsewhere */
    { CLIENT, "auth", ",\"auth\":\"private_key_jwt\",\"jwks\":\"x\"", false },
    { CLIENT, NULL, ",\"jwks\":{\"keys\":[]}", false },
    { CLIENT, NULL, ",\"secrets\":[{\"sha256\":\"" HASH "\",\"created\":1,\"expires\":2}]", true },
    { CLIENT, NULL, ",\"secrets\":[{\"sha256\":\"AAAA\"}]", false },
    { CLIENT, NULL, ",\"secrets\":[{\"sha256\":\"" HASH "\",\"text\":\"x\"}]", false },
    { CLIENT, NULL, ",\"secrets\":[{\"sha256\":\"" HASH "\"},{\"sha256\":\"" HASH "\"},{\"sha256\":\"" HASH "\"}]",
      false },
    { CLIENT, "id", ",\"id\":\"../../etc\"", false },
    { RESOURCE, NULL, ",\"default_scopes\":[\"read\"],\"token_lifetime_s\":60", true },
    { RESOURCE, NULL, ",\"token_lifetime_s\":-1", false },
    { RESOURCE, NULL, ",\"token_lifetime_s\":1e3", false },
    { RESOURCE, "id", ",\"id\":\"" A "\"", false }, /* nobody's aud may look like a principal */
    { RESOURCE, "id", ",\"id\":\"user:corp:alice\"", false },
    { RESOURCE, "id", ",\"id\":\"client:x\"", false },
    { RESOURCE, "id", ",\"id\":\"/relative\"", false },
    { RESOURCE, "id", ",\"id\":\"urn:example:api\"", true },
    { RESOURCE, "scopes", ",\"scopes\":[]", false },
    { RESOURCE, "scopes", ",\"scopes\":[\"re\\\"ad\"]", false },
    { KEY, "state", ",\"state\":\"retired\",\"retired\":5,\"is_sealed\":true", true },
    { KEY, "state", ",\"state\":\"revoked\"", false },
    { KEY, "alg", ",\"alg\":\"HS256\"", false },
    { KEY, "alg", ",\"alg\":\"none\"", false },
    { KEY, "alg", ",\"alg\":\"EdDSA\"", true },
    { REVOCATION, "kind", ",\"kind\":\"jti\",\"before\":5,\"expires\":6", true },
    { REVOCATION, "kind", ",\"kind\":\"everything\"", false },
    { REVOCATION, NULL, ",\"before\":-1", false },
};

DEP_TEST(members_one_by_one)
{
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        union record record;
        struct dep_res res = read_with(rows[i].kind, rows[i].without, rows[i].more, &record);

        dep_test_check(t, dep_is_ok(res) == rows[i].is_good, __FILE__, __LINE__, "kind %d%s: %s", (int)rows[i].kind,
                       rows[i].more, dep_err_name(res.err));
    }
}

DEP_TEST(what_is_written_is_read)
{
    unsigned trips = 0;

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        union record record, again;
        struct dep_str first, second;

        if (!rows[i].is_good || !dep_is_ok(read_with(rows[i].kind, rows[i].without, rows[i].more, &record)))
            continue;
        first = write_json(rows[i].kind, &record);
        DEP_CHECK_OK(t, read_json(rows[i].kind, first, &again));
        second = write_json(rows[i].kind, &again);
        dep_test_check(t, dep_str_eq(first, second), __FILE__, __LINE__, "kind %d%s", (int)rows[i].kind, rows[i].more);
        trips++;
    }
    DEP_CHECK(t, trips > 8);
}

DEP_TEST(the_view_without_secrets)
{
    struct dep_json_writer writer;
    union record client, key;
    char text[4096];
    struct dep_buf buf;

    DEP_CHECK_OK(t, read_with(CLIENT, NULL, ",\"secrets\":[{\"sha256\":\"" HASH "\"}]", &client));
    dep_buf_init(&buf, text, sizeof(text) - 1);
    dep_json_begin(&writer, &buf);
    dep_client_write(&writer, &client.client, false);
    DEP_CHECK_OK(t, read_with(KEY, NULL, "", &key));
    dep_key_write(&writer, &key.key, false);
    text[buf.len] = '\0';
    DEP_CHECK(t, strstr(text, "secrets") == NULL && strstr(text, HASH) == NULL && strstr(text, "\"der\"") == NULL);
    buf.len = 0;
    dep_client_write(&writer, &client.client, true);
    dep_key_write(&writer, &key.key, true);
    text[buf.len] = '\0';
    DEP_CHECK(t, strstr(text, HASH) != NULL && strstr(text, "\"der\"") != NULL);
}

DEP_TEST(names_and_rights)
{
    enum dep_revoked_kind kind;
    enum dep_client_auth auth;
    union record record;
    const struct dep_right *right;

    for (int i = 0; i < DEP_REVOKED_KINDS; i++) {
        DEP_CHECK(t, dep_revoked_kind_by_name(dep_str_c(dep_revoked_kind_name((enum dep_revoked_kind)i)), &kind));
        DEP_CHECK(t, (int)kind == i);
    }
    DEP_CHECK(t, !dep_revoked_kind_by_name(DEP_STR(""), &kind));
    DEP_CHECK(t, dep_client_auth_by_name(DEP_STR("private_key_jwt"), &auth) && auth == DEP_CLIENT_AUTH_PRIVATE_KEY_JWT);
    DEP_CHECK(t, !dep_client_auth_by_name(DEP_STR("PRIVATE_KEY_JWT"), &auth));
    DEP_CHECK_OK(t, read_with(AGENT, NULL, "", &record));
    right = dep_agent_right(&record.agent, DEP_STR("https://a.example"));
    DEP_CHECK(t, right != NULL && dep_right_has(right, DEP_STR("read")) && !dep_right_has(right, DEP_STR("admin")));
    DEP_CHECK(t, dep_agent_right(&record.agent, DEP_STR("https://a.example/")) == NULL);
}

int main(void)
{
    static const struct dep_test_row table[] = {
        DEP_ROW(the_least_of_each_kind),
        DEP_ROW(refuses_unknown_and_duplicate_members),
        DEP_ROW(what_must_be_there_is_text_and_not_blank),
        DEP_ROW(members_one_by_one),
        DEP_ROW(what_is_written_is_read),
        DEP_ROW(the_view_without_secrets),
        DEP_ROW(names_and_rights),
    };

    dep_arena_init(&arena, memory, sizeof(memory));
    return dep_test_main(table, DEP_COUNT(table));
}
