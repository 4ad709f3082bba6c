/* One thread's means to ask the issuer. */
#ifndef DEP_SIDECAR_ISSUER_H
#define DEP_SIDECAR_ISSUER_H

#include "crypto/crypto.h"
#include "guard/follow.h"
#include "net/fetch.h"
#include "sidecar/sidecar.h"

struct dep_issuer {
    const struct dep_sidecar_config *config;
    struct dep_fetcher *fetcher;
    struct dep_crypto *crypto;
};

/* False when something cannot be had; dep_issuer_done() is due in any case. */
bool dep_issuer_init(struct dep_issuer *issuer, const struct dep_sidecar_config *config, int stop_fd);
void dep_issuer_done(struct dep_issuer *issuer);

/* Fetches. Slices of what is returned live until dep_fetch_answer_done(), which is due in any case. */
struct dep_follow_answer dep_issuer_get(struct dep_issuer *issuer, const struct dep_follow_fetch *fetch,
                                        struct dep_fetch_answer *ret_answer);
/* The rules for following, from the configuration. */
struct dep_follow_policy dep_sidecar_follow_policy(const struct dep_sidecar_config *config);

#endif
