/* Clients as records. */
#include "base/b64.h"
#include "base/id.h"
#include "base/ip.h"
#include "proto/dn.h"
#include "proto/redirect.h"
#include "proto/records_read.h"

static const char *const auth_names[] = {
    "none",         "client_secret_basic", "client_secret_post",         "private_key_jwt",
    "workload_jwt", "tls_client_auth",     "self_signed_tls_client_auth"
};
static const char *const tls_names[DEP_TLS_NAMES] = {
    [DEP_TLS_SUBJECT_DN] = "tls_client_auth_subject_dn", [DEP_TLS_SAN_DNS] = "tls_client_auth_san_dns",
    [DEP_TLS_SAN_URI] = "tls_client_auth_san_uri",       [DEP_TLS_SAN_IP] = "tls_client_auth_san_ip",
    [DEP_TLS_SAN_EMAIL] = "tls_client_auth_san_email",
};
static const char *const grant_names[] = { "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange",
                                           "urn:ietf:params:oauth:grant-type:jwt-bearer", "authorization_code",
                                           "refresh_token" };

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

/* The name as it is compared. Printable ASCII without blanks is all that a certificate's alternative names may hold here. */
static struct dep_res shape_tls_name(struct dep_arena *arena, struct dep_client *client)
{
    unsigned char bytes[DEP_IP_BYTES_MAX];
    struct dep_str name = client->tls_name;

    client->tls_name_form = name;
    if (client->tls_name_kind == DEP_TLS_SUBJECT_DN)
        return dep_dn_normalise(arena, name, &client->tls_name_form);
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] <= 0x20 || name.ptr[i] >= 0x7f)
            return DEP_FAIL(ADMIN_INPUT);
    if (client->tls_name_kind != DEP_TLS_SAN_IP)
        return DEP_OK;
    client->tls_name_form = dep_arena_dup(arena, dep_str((const char *)bytes, dep_ip_parse(name, bytes)));
    if (dep_str_is_absent(client->tls_name_form))
        return DEP_FAIL(ARENA_FULL);
    return client->tls_name_form.len == 0 ? DEP_FAIL(ADMIN_INPUT) : DEP_OK;
}

/* rfc8705#2.1.2: exactly one of the names, and only with the method that looks at it. */
static struct dep_res read_tls_name(struct dep_arena *arena, const struct dep_json *json, struct dep_client *client)
{
    for (size_t i = DEP_TLS_NAME_NONE + 1; i < DEP_TLS_NAMES; i++) {
        struct dep_str name = DEP_STR_ABSENT;

        DEP_TRY(dep_record_text(json, dep_str_c(tls_names[i]), false, &name));
        if (dep_str_is_absent(name))
            continue;
        if (client->tls_name_kind != DEP_TLS_NAME_NONE)
            return DEP_FAIL(ADMIN_INPUT);
        client->tls_name_kind = (enum dep_tls_name)i;
        client->tls_name = name;
    }
    if ((client->auth == DEP_CLIENT_AUTH_TLS) != (client->tls_name_kind != DEP_TLS_NAME_NONE))
        return DEP_FAIL(ADMIN_INPUT);
    return client->tls_name_kind == DEP_TLS_NAME_NONE ? DEP_OK : shape_tls_name(arena, client);
}

static struct dep_res read_redirect_uris(const struct dep_json *array, struct dep_client *client)
{
    if (array == NULL || array->type == DEP_JSON_NULL)
        return DEP_OK;
    if (array->type != DEP_JSON_ARRAY || array->count > DEP_REDIRECT_URIS_MAX)
        return DEP_FAIL(ADMIN_INPUT);
    for (const struct dep_json *item = array->child; item != NULL; item = item->next) {
        struct dep_str *uri = &client->redirect_uris[client->redirect_uris_count++];

        DEP_TRY(dep_json_str(item, uri));
        if (!dep_redirect_uri_is_good(*uri))
            return DEP_FAIL(CLIENT_REDIRECT_URI);
    }
    return DEP_OK;
}

/* The code grant is what users' browsers come back from. A client of users acts for nobody but them (rfc7591#2: deputy forbids the mixture),
 * and one that cannot keep a secret does nothing else (oauth-v2-1#4.2). */
static struct dep_res check_user_grants(const struct dep_client *client)
{
    const unsigned of_users = DEP_GRANT_AUTHORIZATION_CODE | DEP_GRANT_REFRESH_TOKEN;
    bool has_code = (client->grants & DEP_GRANT_AUTHORIZATION_CODE) != 0;

    if (has_code != (client->redirect_uris_count > 0) || (!has_code && (client->grants & DEP_GRANT_REFRESH_TOKEN) != 0))
        return DEP_FAIL(CLIENT_REDIRECT_URI);
    if (has_code && (client->grants & DEP_GRANT_CLIENT_CREDENTIALS) != 0)
        return DEP_FAIL(CLIENT_GRANTS);
    return client->auth == DEP_CLIENT_AUTH_NONE && (!has_code || (client->grants & ~of_users) != 0)
               ? DEP_FAIL(CLIENT_GRANTS)
               : DEP_OK;
}

/* What a client may be: an agent's with grants, or a resource server's without any. */
static struct dep_res check_client(const struct dep_client *client)
{
    bool has_keys = client->auth == DEP_CLIENT_AUTH_PRIVATE_KEY_JWT || client->auth == DEP_CLIENT_AUTH_TLS_SELF_SIGNED;
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
    DEP_TRY(check_user_grants(client));
    return has_keys == dep_str_is_absent(client->jwks_json) ? DEP_FAIL(ADMIN_INPUT) : DEP_OK;
}

struct dep_res dep_client_read(struct dep_arena *arena, const struct dep_json *json, struct dep_client *ret_client)
{
    struct dep_client client = { .is_enabled = true };
    struct dep_str auth = DEP_STR_ABSENT;

    DEP_TRY(dep_record_only(
        json,
        "id name agent resource default_resource auth grants redirect_uris is_enabled needs_dpop needs_certificate "
        "may_introspect_any secrets jwks "
        "tls_client_auth_subject_dn tls_client_auth_san_dns tls_client_auth_san_uri tls_client_auth_san_ip "
        "tls_client_auth_san_email created expires"));
    DEP_TRY(TEXT("id", true, &client.id));
    DEP_TRY(TEXT("name", true, &client.name));
    DEP_TRY(TEXT("agent", false, &client.agent));
    DEP_TRY(TEXT("resource", false, &client.resource));
    DEP_TRY(TEXT("default_resource", false, &client.default_resource));
    DEP_TRY(TEXT("auth", true, &auth));
    if (!dep_client_auth_by_name(auth, &client.auth))
        return DEP_FAIL(ADMIN_INPUT);
    DEP_TRY(read_grants(DEP_JSON_GET(json, "grants"), &client.grants));
    DEP_TRY(read_redirect_uris(DEP_JSON_GET(json, "redirect_uris"), &client));
    DEP_TRY(FLAG("is_enabled", &client.is_enabled));
    DEP_TRY(FLAG("needs_dpop", &client.needs_dpop));
    DEP_TRY(FLAG("needs_certificate", &client.needs_certificate));
    DEP_TRY(FLAG("may_introspect_any", &client.may_introspect_any));
    DEP_TRY(NUMBER("created", &client.created));
    DEP_TRY(NUMBER("expires", &client.expires));
    DEP_TRY(read_secrets(DEP_JSON_GET(json, "secrets"), &client));
    if (dep_json_has(json, DEP_STR("jwks"))) {
        if (DEP_JSON_GET(json, "jwks")->type != DEP_JSON_OBJECT)
            return DEP_FAIL(JWKS_SYNTAX);
        client.jwks_json = DEP_JSON_GET(json, "jwks")->raw;
    }
    DEP_TRY(read_tls_name(arena, json, &client));
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
    if (client->redirect_uris_count > 0)
        dep_record_write_scopes(writer, "redirect_uris", client->redirect_uris, client->redirect_uris_count);
    dep_json_member_bool(writer, "is_enabled", client->is_enabled);
    dep_json_member_bool(writer, "needs_dpop", client->needs_dpop);
    dep_json_member_bool(writer, "needs_certificate", client->needs_certificate);
    dep_json_member_bool(writer, "may_introspect_any", client->may_introspect_any);
    if (with_secrets && client->secrets_count > 0)
        write_secrets(writer, client);
    if (!dep_str_is_absent(client->jwks_json)) {
        dep_json_name(writer, "jwks");
        dep_json_put_raw(writer, client->jwks_json);
    }
    if (client->tls_name_kind != DEP_TLS_NAME_NONE)
        dep_json_member(writer, tls_names[client->tls_name_kind], client->tls_name);
    dep_json_member_int(writer, "created", client->created);
    if (client->expires > 0)
        dep_json_member_int(writer, "expires", client->expires);
    dep_json_close(writer, '}');
}
