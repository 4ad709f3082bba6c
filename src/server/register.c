/* The records of a registered sub-agent. What it may be was decided before; here it is only written down. */
#include "server/register.h"

#include "base/b64.h"

#define SECRET_BYTES 32u
#define RECORD_BYTES_MAX 49152u

/* A record as the snapshot will have it: what a cell refuses is refused before anything is written. */
static struct dep_res try_record(struct dep_server *server, struct dep_crypto *crypto, const struct dep_record *record)
{
    struct dep_snapshot *trial = dep_snapshot_new();
    struct dep_cell *cell = NULL;
    struct dep_res res;

    if (trial == NULL)
        return DEP_FAIL(ARENA_FULL);
    res = dep_cell_new(crypto, dep_server_unseal_key(server), record, &cell);
    if (dep_is_ok(res))
        res = dep_snapshot_put(trial, cell);
    dep_snapshot_unref(trial);
    return res;
}

static struct dep_res add_change(struct dep_server *server, struct dep_crypto *crypto, struct dep_arena *arena,
                                 enum dep_record_kind kind, struct dep_str id, struct dep_buf *body,
                                 struct dep_change *ret_change)
{
    dep_buf_fit(body, arena);
    if (body->has_failed)
        return DEP_FAIL(ARENA_FULL);
    *ret_change = (struct dep_change){ .op = DEP_CHANGE_ADD,
                                       .record = { .kind = kind, .id = id, .version = 1, .body = dep_buf_str(body) } };
    return try_record(server, crypto, &ret_change->record);
}

struct dep_str dep_client_secret_make(struct dep_crypto *crypto, struct dep_arena *arena, int64_t now,
                                      struct dep_client_secret *ret_record)
{
    unsigned char bytes[SECRET_BYTES];
    struct dep_buf text;

    dep_random(bytes, sizeof(bytes));
    dep_buf_init_arena(&text, arena, DEP_B64_ENCODED(sizeof(bytes)));
    dep_b64url_put(&text, bytes, sizeof(bytes));
    dep_wipe(bytes, sizeof(bytes));
    *ret_record = (struct dep_client_secret){ .created = now };
    dep_sha256(crypto, dep_buf_str(&text), ret_record->hash);
    return dep_buf_str(&text);
}

static struct dep_str write_body(struct dep_arena *arena, const struct dep_child *child, struct dep_str secret)
{
    struct dep_json_writer writer;
    struct dep_buf body;

    dep_buf_init_arena(&body, arena, 1024);
    dep_json_begin(&writer, &body);
    dep_json_open(&writer, '{');
    dep_json_member(&writer, "agent", child->id);
    dep_json_member(&writer, "parent", child->parent->id);
    dep_json_member(&writer, "client_id", child->client_id);
    dep_json_member(&writer, "client_secret", secret);
    /* rfc7591#3.2.1: with a secret its end must be said; 0 is never. */
    if (!dep_str_is_absent(secret))
        dep_json_member_int(&writer, "client_secret_expires_at", child->expires);
    dep_json_member(&writer, "token_endpoint_auth_method",
                    dep_str_c(dep_client_auth_name(dep_str_is_absent(secret) ? DEP_CLIENT_AUTH_PRIVATE_KEY_JWT
                                                                             : DEP_CLIENT_AUTH_BASIC)));
    dep_json_close(&writer, '}');
    return body.has_failed ? DEP_STR_ABSENT : dep_buf_str(&body);
}

struct dep_res dep_register_child(struct dep_server *server, struct dep_crypto *crypto, struct dep_arena *arena,
                                  const struct dep_child *child, int64_t now,
                                  struct dep_change ret_changes[DEP_REGISTER_CHANGES], struct dep_str *ret_body)
{
    const struct dep_agent agent = { .id = child->id,
                                     .name = child->name,
                                     .owner = child->parent->owner,
                                     .org = child->parent->org,
                                     .agent_version = child->agent_version,
                                     .purpose = child->purpose,
                                     .parent = child->parent->id,
                                     .state = DEP_STATE_ACTIVE,
                                     .created = now,
                                     .ceiling = child->ceiling,
                                     .ceiling_count = child->ceiling_count };
    struct dep_client client = { .id = child->client_id,
                                 .name = child->name,
                                 .agent = child->id,
                                 .auth = DEP_CLIENT_AUTH_PRIVATE_KEY_JWT,
                                 .grants = DEP_GRANT_CLIENT_CREDENTIALS | DEP_GRANT_TOKEN_EXCHANGE,
                                 .is_enabled = true,
                                 .needs_dpop = child->needs_dpop,
                                 .jwks_json = child->jwks,
                                 .created = now,
                                 .expires = child->expires };
    struct dep_str secret = DEP_STR_ABSENT;
    struct dep_json_writer writer;
    struct dep_buf body;

    if (dep_str_is_absent(child->jwks)) {
        client.auth = DEP_CLIENT_AUTH_BASIC;
        secret = dep_client_secret_make(crypto, arena, now, &client.secrets[client.secrets_count++]);
    }
    dep_buf_init_arena(&body, arena, RECORD_BYTES_MAX);
    dep_json_begin(&writer, &body);
    dep_agent_write(&writer, &agent);
    DEP_TRY(add_change(server, crypto, arena, DEP_RECORD_AGENT, child->id, &body, &ret_changes[0]));
    dep_buf_init_arena(&body, arena, RECORD_BYTES_MAX);
    dep_json_begin(&writer, &body);
    dep_client_write(&writer, &client, true);
    DEP_TRY(add_change(server, crypto, arena, DEP_RECORD_CLIENT, child->client_id, &body, &ret_changes[1]));
    *ret_body = write_body(arena, child, secret);
    return dep_str_is_absent(*ret_body) ? DEP_FAIL(ARENA_FULL) : DEP_OK;
}
