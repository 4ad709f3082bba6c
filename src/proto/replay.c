/* Replay keys. */
#include "proto/replay.h"

#include <string.h>

void dep_replay_key(struct dep_crypto *crypto, struct dep_str tenant, enum dep_replay_purpose purpose,
                    struct dep_str owner, struct dep_str place, struct dep_str jti,
                    unsigned char ret_key[DEP_REPLAY_KEY_BYTES])
{
    uint64_t head[5] = { (uint64_t)purpose, tenant.len, owner.len, place.len, jti.len };
    struct dep_str parts[5] = { dep_str((const char *)head, sizeof(head)), tenant, owner, place, jti };
    unsigned char digest[DEP_SHA256_LEN];

    dep_sha256_parts(crypto, parts, 5, digest);
    memcpy(ret_key, digest, DEP_REPLAY_KEY_BYTES);
}
