/* The record of a foreign issuer: what it is trusted for, and how far. */
#include "base/id.h"
#include "base/url.h"
#include "proto/claim.h"
#include "proto/records_read.h"
#include "proto/spiffe.h"

static const char *const use_names[] = { "subject", "id-jag", "workload", "target", "access-token", "login" };

static struct dep_res read_uses(const struct dep_json *array, unsigned *ret_uses)
{
    unsigned uses = 0;

    if (array == NULL || array->type != DEP_JSON_ARRAY)
        return DEP_FAIL(ADMIN_INPUT);
    for (const struct dep_json *item = array->child; item != NULL; item = item->next) {
        struct dep_str name;
        size_t index;

        DEP_TRY(dep_json_str(item, &name));
        if (!dep_record_index(use_names, COUNT(use_names), name, &index))
            return DEP_FAIL(ADMIN_INPUT);
        uses |= 1u << index;
    }
    if (uses == 0)
        return DEP_FAIL(ADMIN_INPUT);
    *ret_uses = uses;
    return DEP_OK;
}

static struct dep_res read_audiences(struct dep_arena *arena, const struct dep_json *array,
                                     struct dep_trusted_issuer *issuer)
{
    if (array == NULL || array->type == DEP_JSON_NULL)
        return DEP_OK;
    if (array->type != DEP_JSON_ARRAY || array->count > 16)
        return DEP_FAIL(ADMIN_INPUT);
    issuer->audiences = DEP_NEW_ARRAY(arena, array->count, struct dep_str);
    if (issuer->audiences == NULL)
        return DEP_FAIL(ARENA_FULL);
    for (const struct dep_json *item = array->child; item != NULL; item = item->next) {
        DEP_TRY(dep_json_str(item, &issuer->audiences[issuer->audiences_count]));
        if (dep_str_says_nothing(issuer->audiences[issuer->audiences_count++]))
            return DEP_FAIL(ADMIN_INPUT);
    }
    return DEP_OK;
}

/* {"claim":"value",…}. */
static struct dep_res read_terms(const struct dep_json *claims, struct dep_claim_terms *terms)
{
    if (claims == NULL || claims->type != DEP_JSON_OBJECT || claims->count == 0 || claims->count > DEP_CLAIM_TERMS_MAX)
        return DEP_FAIL(ADMIN_INPUT);
    for (const struct dep_json *claim = claims->child; claim != NULL; claim = claim->next) {
        terms->names[terms->count] = claim->name;
        DEP_TRY(dep_json_str(claim, &terms->values[terms->count]));
        if (!dep_claim_name_is_good(claim->name) || dep_str_says_nothing(terms->values[terms->count++]))
            return DEP_FAIL(ADMIN_INPUT);
    }
    return DEP_OK;
}

static struct dep_res read_rule(const struct dep_json *json, struct dep_workload_rule *rule)
{
    DEP_TRY(dep_record_only(json, "client claims"));
    DEP_TRY(TEXT("client", true, &rule->client));
    return read_terms(DEP_JSON_GET(json, "claims"), &rule->claims);
}

static struct dep_res read_rules(struct dep_arena *arena, const struct dep_json *array,
                                 struct dep_trusted_issuer *issuer)
{
    if (array == NULL || array->type == DEP_JSON_NULL)
        return DEP_OK;
    if (array->type != DEP_JSON_ARRAY || array->count > 64)
        return DEP_FAIL(ADMIN_INPUT);
    issuer->rules = DEP_NEW_ARRAY(arena, array->count, struct dep_workload_rule);
    if (issuer->rules == NULL)
        return DEP_FAIL(ARENA_FULL);
    for (const struct dep_json *item = array->child; item != NULL; item = item->next)
        DEP_TRY(read_rule(item, &issuer->rules[issuer->rules_count++]));
    return DEP_OK;
}

static struct dep_res read_target_clients(struct dep_arena *arena, const struct dep_json *array,
                                          struct dep_trusted_issuer *issuer)
{
    if (array == NULL)
        return DEP_OK;
    if (array->type != DEP_JSON_ARRAY || array->count > 256)
        return DEP_FAIL(ADMIN_INPUT);
    issuer->target_clients = DEP_NEW_ARRAY(arena, array->count, struct dep_target_client);
    if (issuer->target_clients == NULL)
        return DEP_FAIL(ARENA_FULL);
    for (const struct dep_json *json = array->child; json != NULL; json = json->next) {
        struct dep_target_client *client = &issuer->target_clients[issuer->target_clients_count];

        DEP_TRY(dep_record_only(json, "client client_id"));
        DEP_TRY(TEXT("client", true, &client->client));
        DEP_TRY(TEXT("client_id", true, &client->client_id));
        if (client->client_id.len > 512)
            return DEP_FAIL(ADMIN_INPUT);
        for (size_t i = 0; i < issuer->target_clients_count; i++)
            if (dep_str_eq(issuer->target_clients[i].client, client->client))
                return DEP_FAIL(ADMIN_INPUT);
        issuer->target_clients_count++;
    }
    return DEP_OK;
}

/* [{"claims":{…},"ceiling":[…]}]. */
static struct dep_res read_claim_ceilings(struct dep_arena *arena, const struct dep_json *array,
                                          struct dep_trusted_issuer *issuer)
{
    if (array == NULL || array->type == DEP_JSON_NULL)
        return DEP_OK;
    if (array->type != DEP_JSON_ARRAY || array->count == 0 || array->count > 64)
        return DEP_FAIL(ADMIN_INPUT);
    issuer->claim_ceilings = DEP_NEW_ARRAY(arena, array->count, struct dep_claim_ceiling);
    if (issuer->claim_ceilings == NULL)
        return DEP_FAIL(ARENA_FULL);
    for (const struct dep_json *json = array->child; json != NULL; json = json->next) {
        struct dep_claim_ceiling *row = &issuer->claim_ceilings[issuer->claim_ceilings_count++];

        DEP_TRY(dep_record_only(json, "claims ceiling"));
        DEP_TRY(read_terms(DEP_JSON_GET(json, "claims"), &row->claims));
        DEP_TRY(dep_record_ceiling(arena, DEP_JSON_GET(json, "ceiling"), &row->rights, &row->rights_count));
        if (row->rights_count == 0)
            return DEP_FAIL(ADMIN_INPUT);
    }
    return DEP_OK;
}

/* {"clients":[{"client","client_id"}],"scopes":[…],"resources":[{"resource","scopes"}]}. No clients: nobody is known there. Without
 * scopes anywhere it would mean nothing. */
static struct dep_res read_target(struct dep_arena *arena, const struct dep_json *json,
                                  struct dep_trusted_issuer *issuer)
{
    if (json == NULL || json->type == DEP_JSON_NULL)
        return DEP_OK;
    DEP_TRY(dep_record_only(json, "clients scopes resources"));
    DEP_TRY(read_target_clients(arena, DEP_JSON_GET(json, "clients"), issuer));
    DEP_TRY(
        dep_record_scopes(arena, DEP_JSON_GET(json, "scopes"), &issuer->target_scopes, &issuer->target_scopes_count));
    if (DEP_JSON_GET(json, "resources") != NULL)
        DEP_TRY(dep_record_ceiling(arena, DEP_JSON_GET(json, "resources"), &issuer->target_rights,
                                   &issuer->target_rights_count));
    return issuer->target_scopes_count + issuer->target_rights_count > 0 ? DEP_OK : DEP_FAIL(ADMIN_INPUT);
}

/* Names that people change, share or leave to the next one, which therefore name nobody for long (OpenID Connect Core 1.0 section 5.7,
 * and what large providers document of theirs). */
static bool is_lasting(struct dep_str claim)
{
    static const char *const passing[] = { "email",        "preferred_username", "name",     "nickname",
                                           "phone_number", "given_name",         "upn",      "unique_name",
                                           "family_name",  "middle_name",        "username", "login" };
    struct dep_str last = claim;
    size_t index;

    while (dep_str_has(claim, '/') && dep_str_cut(&claim, '/', &last))
        last = claim;
    return !dep_record_index(passing, COUNT(passing), last, &index);
}

static bool is_within(const struct dep_right *right, const struct dep_trusted_issuer *issuer)
{
    for (size_t i = 0; i < issuer->ceiling_count; i++) {
        if (!dep_str_eq(issuer->ceiling[i].resource, right->resource))
            continue;
        for (size_t k = 0; k < right->scopes_count; k++)
            if (!dep_right_has(&issuer->ceiling[i], right->scopes[k]))
                return false;
        return true;
    }
    return false;
}

/* How claims are mapped is for issuers of users alone. */
static struct dep_res check_mapping(const struct dep_trusted_issuer *issuer)
{
    bool has_claim = !dep_str_is_absent(issuer->subject_claim);

    if (!has_claim && issuer->required_claims.count == 0 && issuer->claim_ceilings_count == 0)
        return DEP_OK;
    if (!(issuer->uses & DEP_ISSUER_USERS))
        return DEP_FAIL(ADMIN_INPUT);
    if (has_claim && !dep_claim_name_is_good(issuer->subject_claim))
        return DEP_FAIL(ADMIN_INPUT);
    if (has_claim && !is_lasting(issuer->subject_claim))
        return DEP_FAIL(ISSUER_SUBJECT);
    for (size_t i = 0; i < issuer->claim_ceilings_count; i++)
        for (size_t k = 0; k < issuer->claim_ceilings[i].rights_count; k++)
            if (!is_within(&issuer->claim_ceilings[i].rights[k], issuer))
                return DEP_FAIL(ISSUER_CEILING);
    return DEP_OK;
}

static struct dep_res check(const struct dep_trusted_issuer *issuer)
{
    struct dep_url url;

    /* The name becomes part of principal ids: no colon, so that "user:a:b" reads one way only. */
    if (!dep_id_is_plain(issuer->name, 64) || dep_str_has(issuer->name, ':') ||
        !dep_id_is_plain(issuer->org, DEP_NAME_MAX))
        return DEP_FAIL(ADMIN_INPUT);
    if (!dep_is_ok(dep_url_parse(issuer->id, &url)) || issuer->id.len > 512)
        return DEP_FAIL(URL_SYNTAX);
    if (!dep_str_is_absent(issuer->jwks_uri) && !dep_is_ok(dep_url_parse(issuer->jwks_uri, &url)))
        return DEP_FAIL(URL_SYNTAX);
    if (!dep_str_is_absent(issuer->jwks_uri) && !dep_str_is_absent(issuer->jwks_json))
        return DEP_FAIL(ADMIN_INPUT);
    /* Users without a ceiling could hand on nothing, and a workload without a rule would be anybody. */
    if ((issuer->uses & DEP_ISSUER_USERS) && issuer->ceiling_count == 0)
        return DEP_FAIL(ADMIN_INPUT);
    DEP_TRY(check_mapping(issuer));
    /* A trust domain names workloads and has no address to discover keys at. */
    if (dep_str_starts(issuer->id, DEP_STR("spiffe:")) &&
        (!dep_spiffe_is_domain(issuer->id) || issuer->uses != DEP_ISSUER_WORKLOAD ||
         (dep_str_is_absent(issuer->jwks_uri) && dep_str_is_absent(issuer->jwks_json))))
        return DEP_FAIL(ADMIN_INPUT);
    if (((issuer->uses & DEP_ISSUER_TARGET) != 0) != (issuer->target_scopes_count + issuer->target_rights_count > 0))
        return DEP_FAIL(ADMIN_INPUT);
    return ((issuer->uses & DEP_ISSUER_WORKLOAD) != 0) == (issuer->rules_count > 0) ? DEP_OK : DEP_FAIL(ADMIN_INPUT);
}

struct dep_res dep_trusted_issuer_read(struct dep_arena *arena, const struct dep_json *json,
                                       struct dep_trusted_issuer *ret_issuer)
{
    struct dep_trusted_issuer issuer = { .is_enabled = true };

    DEP_TRY(dep_record_only(
        json, "id name org uses audiences jwks_uri jwks lifetime_max_s is_single_use is_enabled ceiling agents rules "
              "target subject_claim required_claims claim_ceilings created"));
    DEP_TRY(TEXT("id", true, &issuer.id));
    DEP_TRY(TEXT("name", true, &issuer.name));
    DEP_TRY(TEXT("org", true, &issuer.org));
    DEP_TRY(TEXT("jwks_uri", false, &issuer.jwks_uri));
    DEP_TRY(TEXT("subject_claim", false, &issuer.subject_claim));
    DEP_TRY(read_uses(DEP_JSON_GET(json, "uses"), &issuer.uses));
    DEP_TRY(read_audiences(arena, DEP_JSON_GET(json, "audiences"), &issuer));
    DEP_TRY(NUMBER("lifetime_max_s", &issuer.lifetime_max_s));
    DEP_TRY(NUMBER("created", &issuer.created));
    DEP_TRY(FLAG("is_single_use", &issuer.is_single_use));
    DEP_TRY(FLAG("is_enabled", &issuer.is_enabled));
    if (dep_json_has(json, DEP_STR("jwks"))) {
        if (DEP_JSON_GET(json, "jwks")->type != DEP_JSON_OBJECT)
            return DEP_FAIL(JWKS_SYNTAX);
        issuer.jwks_json = DEP_JSON_GET(json, "jwks")->raw;
    }
    if (dep_json_has(json, DEP_STR("ceiling")))
        DEP_TRY(dep_record_ceiling(arena, DEP_JSON_GET(json, "ceiling"), &issuer.ceiling, &issuer.ceiling_count));
    if (DEP_JSON_GET(json, "agents") != NULL) {
        issuer.has_agents = true;
        DEP_TRY(dep_record_agents(arena, DEP_JSON_GET(json, "agents"), &issuer.agents, &issuer.agents_count));
    }
    DEP_TRY(read_rules(arena, DEP_JSON_GET(json, "rules"), &issuer));
    DEP_TRY(read_target(arena, DEP_JSON_GET(json, "target"), &issuer));
    if (DEP_JSON_GET(json, "required_claims") != NULL && DEP_JSON_GET(json, "required_claims")->type != DEP_JSON_NULL)
        DEP_TRY(read_terms(DEP_JSON_GET(json, "required_claims"), &issuer.required_claims));
    DEP_TRY(read_claim_ceilings(arena, DEP_JSON_GET(json, "claim_ceilings"), &issuer));
    DEP_TRY(check(&issuer));
    *ret_issuer = issuer;
    return DEP_OK;
}

static void write_terms(struct dep_json_writer *writer, const char *name, const struct dep_claim_terms *terms)
{
    dep_json_name(writer, name);
    dep_json_open(writer, '{');
    for (size_t i = 0; i < terms->count; i++) {
        dep_json_name_str(writer, terms->names[i]);
        dep_json_put_str(writer, terms->values[i]);
    }
    dep_json_close(writer, '}');
}

static void write_rules(struct dep_json_writer *writer, const struct dep_trusted_issuer *issuer)
{
    dep_json_name(writer, "rules");
    dep_json_open(writer, '[');
    for (size_t i = 0; i < issuer->rules_count; i++) {
        dep_json_open(writer, '{');
        dep_json_member(writer, "client", issuer->rules[i].client);
        write_terms(writer, "claims", &issuer->rules[i].claims);
        dep_json_close(writer, '}');
    }
    dep_json_close(writer, ']');
}

static void write_target(struct dep_json_writer *writer, const struct dep_trusted_issuer *issuer)
{
    if (!(issuer->uses & DEP_ISSUER_TARGET))
        return;
    dep_json_name(writer, "target");
    dep_json_open(writer, '{');
    dep_json_name(writer, "clients");
    dep_json_open(writer, '[');
    for (size_t i = 0; i < issuer->target_clients_count; i++) {
        dep_json_open(writer, '{');
        dep_json_member(writer, "client", issuer->target_clients[i].client);
        dep_json_member(writer, "client_id", issuer->target_clients[i].client_id);
        dep_json_close(writer, '}');
    }
    dep_json_close(writer, ']');
    dep_record_write_scopes(writer, "scopes", issuer->target_scopes, issuer->target_scopes_count);
    dep_record_write_rights(writer, "resources", issuer->target_rights, issuer->target_rights_count);
    dep_json_close(writer, '}');
}

static void write_mapping(struct dep_json_writer *writer, const struct dep_trusted_issuer *issuer)
{
    dep_json_member(writer, "subject_claim", issuer->subject_claim);
    if (issuer->required_claims.count > 0)
        write_terms(writer, "required_claims", &issuer->required_claims);
    if (issuer->claim_ceilings_count == 0)
        return;
    dep_json_name(writer, "claim_ceilings");
    dep_json_open(writer, '[');
    for (size_t i = 0; i < issuer->claim_ceilings_count; i++) {
        dep_json_open(writer, '{');
        write_terms(writer, "claims", &issuer->claim_ceilings[i].claims);
        dep_record_write_rights(writer, "ceiling", issuer->claim_ceilings[i].rights,
                                issuer->claim_ceilings[i].rights_count);
        dep_json_close(writer, '}');
    }
    dep_json_close(writer, ']');
}

void dep_trusted_issuer_write(struct dep_json_writer *writer, const struct dep_trusted_issuer *issuer)
{
    dep_json_open(writer, '{');
    dep_json_member(writer, "id", issuer->id);
    dep_json_member(writer, "name", issuer->name);
    dep_json_member(writer, "org", issuer->org);
    dep_json_name(writer, "uses");
    dep_json_open(writer, '[');
    for (size_t i = 0; i < COUNT(use_names); i++)
        if (issuer->uses & 1u << i)
            dep_json_put_str(writer, dep_str_c(use_names[i]));
    dep_json_close(writer, ']');
    dep_record_write_scopes(writer, "audiences", issuer->audiences, issuer->audiences_count);
    dep_json_member(writer, "jwks_uri", issuer->jwks_uri);
    if (!dep_str_is_absent(issuer->jwks_json)) {
        dep_json_name(writer, "jwks");
        dep_json_put_raw(writer, issuer->jwks_json);
    }
    dep_json_member_int(writer, "lifetime_max_s", issuer->lifetime_max_s);
    dep_json_member_bool(writer, "is_single_use", issuer->is_single_use);
    dep_json_member_bool(writer, "is_enabled", issuer->is_enabled);
    dep_record_write_rights(writer, "ceiling", issuer->ceiling, issuer->ceiling_count);
    if (issuer->has_agents)
        dep_record_write_scopes(writer, "agents", issuer->agents, issuer->agents_count);
    write_rules(writer, issuer);
    write_target(writer, issuer);
    write_mapping(writer, issuer);
    dep_json_member_int(writer, "created", issuer->created);
    dep_json_close(writer, '}');
}
