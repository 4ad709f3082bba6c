/* Clients as records. */
#include "base/b64.h"
#include "base/id.h"
#include "proto/records_read.h"

static const char *const auth_names[] = { "none", "client_secret_basic", "client_secret_post", "private_key_jwt",
                                          "workload_jwt" };
static const char *const grant_names[] = { "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange",
                                           "urn:ietf:params:oauth:grant-type:jwt-bearer" };

const char *dep_client_auth_name(enum dep_client_auth method)
{
    return auth_names[method];
}

bool dep_client_auth_by_name(struct dep_str name, enum dep_client_auth *ret_method)
{
    size_t i;

    if (!dep_record_index(auth_names, COUNT(auth_names), name, &i))
        return false;
    *ret_method = (enum dep_client_auth)i;
    return true;
}

static struct dep_res read_secrets(const struct dep_json *array, struct dep_client *client)
{
    if (array == NULL || array->type == DEP_JSON_NULL)
        return DEP_OK;
    if (array->type != DEP_JSON_ARRAY || array->count > DEP_SECRETS_LIVE)
        return DEP_FAIL(ADMIN_INPUT);
    for (const struct dep_json *json = array->child; json != NULL; json = json->next) {
        struct dep_client_secret *secret = &client->secrets[client->secrets_count++];
        struct dep_str hash = DEP_STR_ABSENT;

        DEP_TRY(dep_record_only(json, "sha256 created expires"));
        DEP_TRY(TEXT("sha256", true, &hash));
        DEP_TRY(dep_b64url_decode_exact(hash, secret->hash, sizeof(secret->hash)));
        DEP_TRY(NUMBER("created", &secret->created));
        DEP_TRY(NUMBER("expires", &secret->expires));
    }
    return DEP_OK;
}

static struct dep_res read_grants(const struct dep_json *array, unsigned *ret_grants)
{
    unsigned grants = 0;

    if (array == NULL || array->type == DEP_JSON_NULL)
        return DEP_OK;
    if (array->type != DEP_JSON_ARRAY)
        return DEP_FAIL(ADMIN_INPUT);
    for (const struct dep_json *item = array->child; item != NULL; item = item->next) {
        struct dep_str name;
        size_t index;

        DEP_TRY(dep_json_str(item, &name));
        if (!dep_record_index(grant_names, COUNT(grant_names), name, &index))
            return DEP_FAIL(ADMIN_INPUT);
        grants |= 1u << index;
    }
    *ret_grants = grants;
    return DEP_OK;
}

/* What a client may be: an agent's with grants, or a resource server's without any. */
static struct dep_res check_client(const struct dep_client *client)
{
    bool has_agent = !dep_str_is_absent(client->agent), has_resource = !dep_str_is_absent(client->resource);

    if (!dep_ulid_is_valid(client->id) || client->name.len > DEP_NAME_MAX || has_agent == has_resource)
        return DEP_FAIL(ADMIN_INPUT);
    if (has_agent)
        DEP_TRY(dep_record_agent_id(client->agent));
    else
        DEP_TRY(dep_record_uri(client->resource));
    if (has_resource && client->grants != 0)
        return DEP_FAIL(ADMIN_INPUT);
    if (!dep_str_is_absent(client->default_resource))
        DEP_TRY(dep_record_uri(client->default_resource));
    if (client->auth == DEP_CLIENT_AUTH_NONE)
        return DEP_FAIL(ADMIN_INPUT);
    return (client->auth == DEP_CLIENT_AUTH_PRIVATE_KEY_JWT) == dep_str_is_absent(client->jwks_json)
               ? DEP_FAIL(ADMIN_INPUT)
               : DEP_OK;
}

struct dep_res dep_client_read(struct dep_arena *arena, const struct dep_json *json, struct dep_client *ret_client)
{
    struct dep_client client = { .is_enabled = true };
    struct dep_str auth = DEP_STR_ABSENT;

    (void)arena;
    DEP_TRY(dep_record_only(
        json,
        "id name agent resource default_resource auth grants is_enabled needs_dpop may_introspect_any secrets jwks "
        "created expires"));
    DEP_TRY(TEXT("id", true, &client.id));
    DEP_TRY(TEXT("name", true, &client.name));
    DEP_TRY(TEXT("agent", false, &client.agent));
    DEP_TRY(TEXT("resource", false, &client.resource));
    DEP_TRY(TEXT("default_resource", false, &client.default_resource));
    DEP_TRY(TEXT("auth", true, &auth));
    if (!dep_client_auth_by_name(auth, &client.auth))
        return DEP_FAIL(ADMIN_INPUT);
    DEP_TRY(read_grants(DEP_JSON_GET(json, "grants"), &client.grants));
    DEP_TRY(FLAG("is_enabled", &client.is_enabled));
    DEP_TRY(FLAG("needs_dpop", &client.needs_dpop));
    DEP_TRY(FLAG("may_introspect_any", &client.may_introspect_any));
    DEP_TRY(NUMBER("created", &client.created));
    DEP_TRY(NUMBER("expires", &client.expires));
    DEP_TRY(read_secrets(DEP_JSON_GET(json, "secrets"), &client));
    if (dep_json_has(json, DEP_STR("jwks"))) {
        if (DEP_JSON_GET(json, "jwks")->type != DEP_JSON_OBJECT)
            return DEP_FAIL(JWKS_SYNTAX);
        client.jwks_json = DEP_JSON_GET(json, "jwks")->raw;
    }
    DEP_TRY(check_client(&client));
    *ret_client = client;
    return DEP_OK;
}

static void write_secrets(struct dep_json_writer *writer, const struct dep_client *client)
{
    dep_json_name(writer, "secrets");
    dep_json_open(writer, '[');
    for (size_t i = 0; i < client->secrets_count; i++) {
        char text_of_hash[DEP_B64_ENCODED(DEP_SHA256_LEN)];
        struct dep_buf buf;

        dep_buf_init(&buf, text_of_hash, sizeof(text_of_hash));
        dep_b64url_put(&buf, client->secrets[i].hash, DEP_SHA256_LEN);
        dep_json_open(writer, '{');
        dep_json_member(writer, "sha256", dep_buf_str(&buf));
        dep_json_member_int(writer, "created", client->secrets[i].created);
        dep_json_member_int(writer, "expires", client->secrets[i].expires);
        dep_json_close(writer, '}');
    }
    dep_json_close(writer, ']');
}

void dep_client_write(struct dep_json_writer *writer, const struct dep_client *client, bool with_secrets)
{
    dep_json_open(writer, '{');
    dep_json_member(writer, "id", client->id);
    dep_json_member(writer, "name", client->name);
    dep_json_member(writer, "agent", client->agent);
    dep_json_member(writer, "resource", client->resource);
    dep_json_member(writer, "default_resource", client->default_resource);
    dep_json_member(writer, "auth", dep_str_c(dep_client_auth_name(client->auth)));
    dep_json_name(writer, "grants");
    dep_json_open(writer, '[');
    for (size_t i = 0; i < COUNT(grant_names); i++)
        if (client->grants & 1u << i)
            dep_json_put_str(writer, dep_str_c(grant_names[i]));
    dep_json_close(writer, ']');
    dep_json_member_bool(writer, "is_enabled", client->is_enabled);
    dep_json_member_bool(writer, "needs_dpop", client->needs_dpop);
    dep_json_member_bool(writer, "may_introspect_any", client->may_introspect_any);
    if (with_secrets && client->secrets_count > 0)
        write_secrets(writer, client);
    if (!dep_str_is_absent(client->jwks_json)) {
        dep_json_name(writer, "jwks");
        dep_json_put_raw(writer, client->jwks_json);
    }
    dep_json_member_int(writer, "created", client->created);
    if (client->expires > 0)
        dep_json_member_int(writer, "expires", client->expires);
    dep_json_close(writer, '}');
}
