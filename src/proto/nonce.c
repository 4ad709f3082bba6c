/* DPoP nonces (RFC 9449 section 8): 8 bytes of minting time, 16 bytes of HMAC-SHA-256 over purpose and time. */
#include "proto/nonce.h"

#include "base/b64.h"
#include "base/buf.h"

#define TIME_LEN 8u
#define MAC_LEN 16u
/* A nonce may be minted for the first second after the restart fence, which is at most this far ahead. */
#define AHEAD_S 2

static void mac(struct dep_crypto *crypto, const struct dep_nonce_policy *policy, const unsigned char time[TIME_LEN],
                unsigned char ret_mac[DEP_SHA256_LEN])
{
    char text[512];
    struct dep_buf buf;

    dep_buf_init(&buf, text, sizeof(text));
    dep_buf_put(&buf, dep_str((const char *)time, TIME_LEN));
    dep_buf_put(&buf, dep_str_sub(policy->purpose, 0, sizeof(text) - TIME_LEN));
    dep_hmac_sha256(crypto, policy->key, dep_buf_str(&buf), ret_mac);
}

struct dep_str dep_nonce_make(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_nonce_policy *policy,
                              int64_t now)
{
    unsigned char bytes[TIME_LEN + DEP_SHA256_LEN];
    struct dep_buf buf;

    for (unsigned i = 0; i < TIME_LEN; i++)
        bytes[i] = (unsigned char)((uint64_t)now >> (56 - 8 * i));
    mac(crypto, policy, bytes, bytes + TIME_LEN);
    dep_buf_init_arena(&buf, arena, DEP_NONCE_LEN);
    dep_b64url_put(&buf, bytes, TIME_LEN + MAC_LEN);
    return dep_buf_str(&buf);
}

struct dep_res dep_nonce_check(struct dep_crypto *crypto, const struct dep_nonce_policy *policy, struct dep_str nonce,
                               int64_t now, int64_t *ret_minted)
{
    unsigned char bytes[TIME_LEN + MAC_LEN], want[DEP_SHA256_LEN];
    uint64_t time = 0;

    if (!dep_is_ok(dep_b64url_decode_exact(nonce, bytes, sizeof(bytes))))
        return DEP_FAIL(DPOP_NONCE);
    mac(crypto, policy, bytes, want);
    if (!dep_secret_eq(dep_secret(bytes + TIME_LEN, MAC_LEN), dep_secret(want, MAC_LEN)))
        return DEP_FAIL(DPOP_NONCE);
    for (unsigned i = 0; i < TIME_LEN; i++)
        time = time << 8 | bytes[i];

    int64_t minted = (int64_t)time;

    if (minted > now + AHEAD_S || minted <= now - 2 * policy->window_s)
        return DEP_FAIL(DPOP_NONCE);
    *ret_minted = minted;
    return DEP_OK;
}
