/* Replay keys: H(tenant, purpose, issuer or jkt, htu where it applies, jti). Each purpose is its own name space. */
#ifndef DEP_PROTO_REPLAY_H
#define DEP_PROTO_REPLAY_H

#include "crypto/crypto.h"

#define DEP_REPLAY_KEY_BYTES 16u

enum dep_replay_purpose {
    DEP_REPLAY_DPOP,
    DEP_REPLAY_ASSERTION,
    DEP_REPLAY_ACTOR,
    DEP_REPLAY_GRANT,
    DEP_REPLAY_CODE,
    DEP_REPLAY_ASKED
};

/* Parts are length-prefixed before hashing, so that no two lists of parts have one key. */
void dep_replay_key(struct dep_crypto *crypto, struct dep_str tenant, enum dep_replay_purpose purpose,
                    struct dep_str owner, struct dep_str place, struct dep_str jti,
                    unsigned char ret_key[DEP_REPLAY_KEY_BYTES]);

#endif
