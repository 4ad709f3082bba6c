/* The records as JSON. One table per kind would hide how few members there are; each reader names its own instead, and
 * `dep_record_only()` refuses every member that no reader named. */
#include "proto/records.h"

#include "base/id.h"
#include "base/url.h"
#include "proto/records_read.h"
#include "proto/scope.h"

static const char *const state_names[] = { "active", "suspended", "banned" };
static const char *const key_state_names[] = { "prepared", "active", "retired", "tainted" };
static const char *const revoked_names[] = { "agent", "client", "org", "task", "grant", "jti" };
bool dep_record_index(const char *const *names, size_t count, struct dep_str name, size_t *ret_index)
{
    for (size_t i = 0; i < count; i++)
        if (dep_str_eq_c(name, names[i])) {
            *ret_index = i;
            return true;
        }
    return false;
}

const char *dep_state_name(enum dep_state state)
{
    return state_names[state];
}

const char *dep_key_state_name(enum dep_key_state state)
{
    return key_state_names[state];
}

const char *dep_revoked_kind_name(enum dep_revoked_kind kind)
{
    return revoked_names[kind];
}

bool dep_revoked_kind_by_name(struct dep_str name, enum dep_revoked_kind *ret_kind)
{
    size_t i;

    if (!dep_record_index(revoked_names, COUNT(revoked_names), name, &i))
        return false;
    *ret_kind = (enum dep_revoked_kind)i;
    return true;
}

/* ---- reading ---- */

/* An object whose members all stand in `names`, a list with blanks between. */
struct dep_res dep_record_only(const struct dep_json *json, const char *names)
{
    if (json == NULL || json->type != DEP_JSON_OBJECT)
        return DEP_FAIL(ADMIN_INPUT);
    for (const struct dep_json *member = json->child; member != NULL; member = member->next)
        if (!dep_scope_has(dep_str_c(names), member->name))
            return DEP_FAIL(ADMIN_INPUT);
    return DEP_OK;
}

/* A text that must say something; absent is allowed only when it is not required. null counts as absent. */
struct dep_res dep_record_text(const struct dep_json *json, struct dep_str name, bool is_required,
                               struct dep_str *ret_text)
{
    if (!dep_json_has(json, name))
        return is_required ? DEP_FAIL(ADMIN_INPUT) : DEP_OK;
    DEP_TRY(dep_json_str(dep_json_get(json, name), ret_text));
    return dep_str_says_nothing(*ret_text) || ret_text->len > 1024 ? DEP_FAIL(ADMIN_INPUT) : DEP_OK;
}

struct dep_res dep_record_number(const struct dep_json *json, struct dep_str name, int64_t *ret_value)
{
    if (!dep_json_has(json, name))
        return DEP_OK;
    return dep_json_int(dep_json_get(json, name), 0, DEP_JSON_TIME_MAX, ret_value);
}

struct dep_res dep_record_flag(const struct dep_json *json, struct dep_str name, bool *ret_value)
{
    return dep_json_has(json, name) ? dep_json_bool(dep_json_get(json, name), ret_value) : DEP_OK;
}

/* An array of single scopes, none twice. Absent: none. */
struct dep_res dep_record_scopes(struct dep_arena *arena, const struct dep_json *array, struct dep_str **ret_scopes,
                                 size_t *ret_count)
{
    size_t count = 0;

    if (array == NULL || array->type == DEP_JSON_NULL)
        return DEP_OK;
    if (array->type != DEP_JSON_ARRAY || array->count > DEP_SCOPES_MAX)
        return DEP_FAIL(ADMIN_INPUT);

    struct dep_str *scopes = DEP_NEW_ARRAY(arena, array->count, struct dep_str);

    if (scopes == NULL)
        return DEP_FAIL(ARENA_FULL);
    for (const struct dep_json *item = array->child; item != NULL; item = item->next) {
        DEP_TRY(dep_json_str(item, &scopes[count]));
        DEP_TRY(dep_scope_check(scopes[count]));
        if (dep_str_has(scopes[count], ' '))
            return DEP_FAIL(SCOPE_SYNTAX);
        for (size_t i = 0; i < count; i++)
            if (dep_str_eq(scopes[i], scopes[count]))
                return DEP_FAIL(ADMIN_INPUT);
        count++;
    }
    *ret_scopes = scopes;
    *ret_count = count;
    return DEP_OK;
}

struct dep_res dep_record_uri(struct dep_str uri)
{
    bool has_fragment = false;

    DEP_TRY(dep_uri_check(uri, &has_fragment));
    return has_fragment || uri.len > 512 ? DEP_FAIL(URL_SYNTAX) : DEP_OK;
}

static const struct dep_right *right_at(const struct dep_right *rights, size_t count, struct dep_str resource)
{
    for (size_t i = 0; i < count; i++)
        if (dep_str_eq(rights[i].resource, resource))
            return &rights[i];
    return NULL;
}

struct dep_res dep_record_ceiling(struct dep_arena *arena, const struct dep_json *array, struct dep_right **ret_rights,
                                  size_t *ret_count)
{
    struct dep_right *rights;
    size_t count = 0;

    if (array == NULL || array->type != DEP_JSON_ARRAY || array->count > 64)
        return DEP_FAIL(ADMIN_INPUT);
    rights = DEP_NEW_ARRAY(arena, array->count, struct dep_right);
    if (rights == NULL)
        return DEP_FAIL(ARENA_FULL);
    for (const struct dep_json *json = array->child; json != NULL; json = json->next) {
        struct dep_right right = { 0 };

        DEP_TRY(dep_record_only(json, "resource scopes"));
        DEP_TRY(TEXT("resource", true, &right.resource));
        DEP_TRY(dep_record_uri(right.resource));
        DEP_TRY(dep_record_scopes(arena, DEP_JSON_GET(json, "scopes"), &right.scopes, &right.scopes_count));
        if (right.scopes_count == 0 || right_at(rights, count, right.resource) != NULL)
            return DEP_FAIL(ADMIN_INPUT);
        rights[count++] = right;
    }
    *ret_rights = rights;
    *ret_count = count;
    return DEP_OK;
}

struct dep_res dep_record_agent_id(struct dep_str id)
{
    if (!dep_str_starts(id, DEP_STR("agent:")) || !dep_ulid_is_valid(dep_str_sub(id, 6, id.len)))
        return DEP_FAIL(ADMIN_INPUT);
    return DEP_OK;
}

struct dep_res dep_record_agents(struct dep_arena *arena, const struct dep_json *array, struct dep_str **ret_ids,
                                 size_t *ret_count)
{
    struct dep_str *ids;
    size_t count = 0;

    if (array->type != DEP_JSON_ARRAY || array->count > 256)
        return DEP_FAIL(ADMIN_INPUT);
    ids = DEP_NEW_ARRAY(arena, array->count, struct dep_str);
    if (ids == NULL)
        return DEP_FAIL(ARENA_FULL);
    for (const struct dep_json *item = array->child; item != NULL; item = item->next) {
        DEP_TRY(dep_json_str(item, &ids[count]));
        DEP_TRY(dep_record_agent_id(ids[count++]));
    }
    *ret_ids = ids;
    *ret_count = count;
    return DEP_OK;
}

/* {"to":[agents], "depth_max":n, "lifetime_max_s":n, "rights":[{resource, scopes}]}, each of them optional. */
static struct dep_res read_delegation(struct dep_arena *arena, const struct dep_json *json, struct dep_agent *agent)
{
    const struct dep_json *to = DEP_JSON_GET(json, "to");

    if (json == NULL || json->type == DEP_JSON_NULL)
        return DEP_OK;
    DEP_TRY(dep_record_only(json, "to depth_max lifetime_max_s rights"));
    DEP_TRY(NUMBER("depth_max", &agent->delegation_depth_max));
    DEP_TRY(NUMBER("lifetime_max_s", &agent->delegation_lifetime_max_s));
    /* "Nobody below me" is an empty list; a limit of nothing would read as no limit. */
    if ((dep_json_has(json, DEP_STR("depth_max")) && agent->delegation_depth_max == 0) ||
        (dep_json_has(json, DEP_STR("lifetime_max_s")) && agent->delegation_lifetime_max_s == 0))
        return DEP_FAIL(ADMIN_INPUT);
    if (DEP_JSON_GET(json, "rights") != NULL) {
        agent->has_delegation_rights = true;
        DEP_TRY(dep_record_ceiling(arena, DEP_JSON_GET(json, "rights"), &agent->delegation_rights,
                                   &agent->delegation_rights_count));
    }
    if (to == NULL)
        return DEP_OK;
    agent->has_delegates = true;
    return dep_record_agents(arena, to, &agent->delegates, &agent->delegates_count);
}

struct dep_res dep_agent_read(struct dep_arena *arena, const struct dep_json *json, struct dep_agent *ret_agent)
{
    struct dep_agent agent = { 0 };
    struct dep_str state = DEP_STR_ABSENT;
    size_t index = 0;

    DEP_TRY(dep_record_only(json, "id name owner org agent_version purpose parent state created ceiling delegation"));
    DEP_TRY(TEXT("id", true, &agent.id));
    DEP_TRY(dep_record_agent_id(agent.id));
    DEP_TRY(TEXT("name", true, &agent.name));
    DEP_TRY(TEXT("owner", true, &agent.owner));
    DEP_TRY(TEXT("org", true, &agent.org));
    DEP_TRY(TEXT("agent_version", false, &agent.agent_version));
    DEP_TRY(TEXT("purpose", false, &agent.purpose));
    DEP_TRY(TEXT("parent", false, &agent.parent));
    DEP_TRY(TEXT("state", false, &state));
    if (!dep_str_is_absent(agent.parent))
        DEP_TRY(dep_record_agent_id(agent.parent));
    if (!dep_str_is_absent(state) && !dep_record_index(state_names, COUNT(state_names), state, &index))
        return DEP_FAIL(ADMIN_INPUT);
    if (agent.name.len > DEP_NAME_MAX || agent.owner.len > DEP_NAME_MAX || !dep_id_is_plain(agent.org, DEP_NAME_MAX))
        return DEP_FAIL(ADMIN_INPUT);
    agent.state = agent.effective_state = (enum dep_state)index;
    DEP_TRY(NUMBER("created", &agent.created));
    DEP_TRY(dep_record_ceiling(arena, DEP_JSON_GET(json, "ceiling"), &agent.ceiling, &agent.ceiling_count));
    DEP_TRY(read_delegation(arena, DEP_JSON_GET(json, "delegation"), &agent));
    *ret_agent = agent;
    return DEP_OK;
}

struct dep_res dep_resource_read(struct dep_arena *arena, const struct dep_json *json,
                                 struct dep_resource *ret_resource)
{
    struct dep_resource resource = { .is_enabled = true };

    DEP_TRY(dep_record_only(json, "id name scopes default_scopes token_lifetime_s needs_dpop is_enabled created"));
    DEP_TRY(TEXT("id", true, &resource.id));
    DEP_TRY(dep_record_uri(resource.id));
    DEP_TRY(TEXT("name", true, &resource.name));
    DEP_TRY(dep_record_scopes(arena, DEP_JSON_GET(json, "scopes"), &resource.scopes, &resource.scopes_count));
    DEP_TRY(dep_record_scopes(arena, DEP_JSON_GET(json, "default_scopes"), &resource.default_scopes,
                              &resource.default_scopes_count));
    DEP_TRY(NUMBER("token_lifetime_s", &resource.token_lifetime_s));
    DEP_TRY(FLAG("needs_dpop", &resource.needs_dpop));
    DEP_TRY(FLAG("is_enabled", &resource.is_enabled));
    DEP_TRY(NUMBER("created", &resource.created));
    /* Principals live in the same place as resources: the value of aud. No resource may look like one. */
    if (resource.scopes_count == 0 || resource.name.len > DEP_NAME_MAX ||
        dep_str_starts(resource.id, DEP_STR("agent:")) || dep_str_starts(resource.id, DEP_STR("client:")) ||
        dep_str_starts(resource.id, DEP_STR("user:")))
        return DEP_FAIL(ADMIN_INPUT);
    *ret_resource = resource;
    return DEP_OK;
}

struct dep_res dep_key_read(struct dep_arena *arena, const struct dep_json *json, struct dep_key *ret_key)
{
    struct dep_key key = { 0 };
    struct dep_str alg = DEP_STR_ABSENT, state = DEP_STR_ABSENT;
    size_t index;

    (void)arena;
    DEP_TRY(dep_record_only(json, "kid alg state created retired der is_sealed"));
    DEP_TRY(TEXT("kid", true, &key.kid));
    DEP_TRY(TEXT("alg", true, &alg));
    DEP_TRY(TEXT("state", true, &state));
    /* An RSA key is longer than the texts that people write. */
    DEP_TRY(dep_json_str(DEP_JSON_GET(json, "der"), &key.der));
    DEP_TRY(NUMBER("created", &key.created));
    DEP_TRY(NUMBER("retired", &key.retired));
    DEP_TRY(FLAG("is_sealed", &key.is_sealed));
    key.alg = dep_alg_by_name(alg);
    if (key.alg == DEP_ALG_NONE || !dep_record_index(key_state_names, COUNT(key_state_names), state, &index))
        return DEP_FAIL(ADMIN_INPUT);
    key.state = (enum dep_key_state)index;
    *ret_key = key;
    return DEP_OK;
}

struct dep_res dep_revocation_read(struct dep_arena *arena, const struct dep_json *json,
                                   struct dep_revocation *ret_entry)
{
    struct dep_revocation entry = { 0 };
    struct dep_str kind = DEP_STR_ABSENT;

    (void)arena;
    DEP_TRY(dep_record_only(json, "kind id before expires"));
    DEP_TRY(TEXT("kind", true, &kind));
    DEP_TRY(TEXT("id", true, &entry.id));
    DEP_TRY(NUMBER("before", &entry.before));
    DEP_TRY(NUMBER("expires", &entry.expires));
    if (!dep_revoked_kind_by_name(kind, &entry.kind))
        return DEP_FAIL(ADMIN_INPUT);
    *ret_entry = entry;
    return DEP_OK;
}

/* ---- writing ---- */

void dep_record_write_scopes(struct dep_json_writer *writer, const char *name, const struct dep_str *scopes,
                             size_t count)
{
    dep_json_name(writer, name);
    dep_json_open(writer, '[');
    for (size_t i = 0; i < count; i++)
        dep_json_put_str(writer, scopes[i]);
    dep_json_close(writer, ']');
}

void dep_record_write_rights(struct dep_json_writer *writer, const char *name, const struct dep_right *rights,
                             size_t count)
{
    dep_json_name(writer, name);
    dep_json_open(writer, '[');
    for (size_t i = 0; i < count; i++) {
        dep_json_open(writer, '{');
        dep_json_member(writer, "resource", rights[i].resource);
        dep_record_write_scopes(writer, "scopes", rights[i].scopes, rights[i].scopes_count);
        dep_json_close(writer, '}');
    }
    dep_json_close(writer, ']');
}

static void write_delegation(struct dep_json_writer *writer, const struct dep_agent *agent)
{
    if (!agent->has_delegates && !agent->has_delegation_rights && agent->delegation_depth_max == 0 &&
        agent->delegation_lifetime_max_s == 0)
        return;
    dep_json_name(writer, "delegation");
    dep_json_open(writer, '{');
    if (agent->has_delegates)
        dep_record_write_scopes(writer, "to", agent->delegates, agent->delegates_count);
    if (agent->delegation_depth_max > 0)
        dep_json_member_int(writer, "depth_max", agent->delegation_depth_max);
    if (agent->delegation_lifetime_max_s > 0)
        dep_json_member_int(writer, "lifetime_max_s", agent->delegation_lifetime_max_s);
    if (agent->has_delegation_rights)
        dep_record_write_rights(writer, "rights", agent->delegation_rights, agent->delegation_rights_count);
    dep_json_close(writer, '}');
}

void dep_agent_write(struct dep_json_writer *writer, const struct dep_agent *agent)
{
    dep_json_open(writer, '{');
    dep_json_member(writer, "id", agent->id);
    dep_json_member(writer, "name", agent->name);
    dep_json_member(writer, "owner", agent->owner);
    dep_json_member(writer, "org", agent->org);
    dep_json_member(writer, "agent_version", agent->agent_version);
    dep_json_member(writer, "purpose", agent->purpose);
    dep_json_member(writer, "parent", agent->parent);
    dep_json_member(writer, "state", dep_str_c(dep_state_name(agent->state)));
    dep_json_member_int(writer, "created", agent->created);
    dep_record_write_rights(writer, "ceiling", agent->ceiling, agent->ceiling_count);
    write_delegation(writer, agent);
    dep_json_close(writer, '}');
}

void dep_resource_write(struct dep_json_writer *writer, const struct dep_resource *resource)
{
    dep_json_open(writer, '{');
    dep_json_member(writer, "id", resource->id);
    dep_json_member(writer, "name", resource->name);
    dep_record_write_scopes(writer, "scopes", resource->scopes, resource->scopes_count);
    dep_record_write_scopes(writer, "default_scopes", resource->default_scopes, resource->default_scopes_count);
    dep_json_member_int(writer, "token_lifetime_s", resource->token_lifetime_s);
    dep_json_member_bool(writer, "needs_dpop", resource->needs_dpop);
    dep_json_member_bool(writer, "is_enabled", resource->is_enabled);
    dep_json_member_int(writer, "created", resource->created);
    dep_json_close(writer, '}');
}

void dep_key_write(struct dep_json_writer *writer, const struct dep_key *key, bool with_secrets)
{
    dep_json_open(writer, '{');
    dep_json_member(writer, "kid", key->kid);
    dep_json_member(writer, "alg", dep_str_c(dep_alg_name(key->alg)));
    dep_json_member(writer, "state", dep_str_c(dep_key_state_name(key->state)));
    dep_json_member_int(writer, "created", key->created);
    dep_json_member_int(writer, "retired", key->retired);
    if (with_secrets)
        dep_json_member(writer, "der", key->der);
    dep_json_member_bool(writer, "is_sealed", key->is_sealed);
    dep_json_close(writer, '}');
}

void dep_revocation_write(struct dep_json_writer *writer, const struct dep_revocation *entry)
{
    dep_json_open(writer, '{');
    dep_json_member(writer, "kind", dep_str_c(dep_revoked_kind_name(entry->kind)));
    dep_json_member(writer, "id", entry->id);
    dep_json_member_int(writer, "before", entry->before);
    dep_json_member_int(writer, "expires", entry->expires);
    dep_json_close(writer, '}');
}

const struct dep_right *dep_agent_right(const struct dep_agent *agent, struct dep_str resource)
{
    return right_at(agent->ceiling, agent->ceiling_count, resource);
}

const struct dep_right *dep_agent_edge_right(const struct dep_agent *agent, struct dep_str resource)
{
    return agent->has_delegation_rights ? right_at(agent->delegation_rights, agent->delegation_rights_count, resource)
                                        : dep_agent_right(agent, resource);
}

bool dep_right_has(const struct dep_right *right, struct dep_str scope)
{
    for (size_t i = 0; i < right->scopes_count; i++)
        if (dep_str_eq(right->scopes[i], scope))
            return true;
    return false;
}

bool dep_agent_may_delegate(const struct dep_agent *agent, struct dep_str other)
{
    if (!agent->has_delegates)
        return true;
    for (size_t i = 0; i < agent->delegates_count; i++)
        if (dep_str_eq(agent->delegates[i], other))
            return true;
    return false;
}
