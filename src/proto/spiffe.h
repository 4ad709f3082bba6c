/* SPIFFE IDs: "spiffe://" + trust domain + path. */
#ifndef DEP_PROTO_SPIFFE_H
#define DEP_PROTO_SPIFFE_H

#include "base/str.h"

/* The trust domain's id ("spiffe://acme.example") of a workload's id, a slice of it. False: not the id of a workload, which has a path;
 * 2048 bytes at most, only the characters that the standard has, no "." or ".." and no empty segment. */
bool dep_spiffe_domain(struct dep_str id, struct dep_str *ret_domain);
/* Whether `id` is that of a trust domain: no path. */
bool dep_spiffe_is_domain(struct dep_str id);

#endif
