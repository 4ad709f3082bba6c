/* URIs (RFC 3986): split, check, compare. Resource indicators and issuers are compared code point by code point; only
 * the htu of a DPoP proof is normalised first (RFC 9449 section 4.3). */
#ifndef DEP_BASE_URL_H
#define DEP_BASE_URL_H

#include "base/arena.h"
#include "base/res.h"

struct dep_url {
    struct dep_str scheme;
    struct dep_str userinfo; /* absent when there is none */
    struct dep_str host;     /* an IPv6 address with its brackets */
    struct dep_str port;     /* absent when there is none; may be empty ("http://h:/") */
    struct dep_str path;     /* empty, or starting with '/' */
    struct dep_str query;    /* absent when there is no '?' */
    struct dep_str fragment; /* absent when there is no '#' */
};

/* An absolute URI with an authority. Only characters of RFC 3986, percent signs followed by two hex digits, a port of
 * at most 65535: DEP_ERR_URL_SYNTAX otherwise. */
DEP_MUST struct dep_res dep_url_parse(struct dep_str text, struct dep_url *ret_url);
/* Any absolute URI, also without authority ("urn:x:y"); parts that do not exist are absent. */
DEP_MUST struct dep_res dep_uri_check(struct dep_str text, bool *ret_has_fragment);
/* "127.0.0.1", "[::1]" or "localhost". */
bool dep_url_is_loopback(const struct dep_url *url);
/* The comparison form of RFC 9449 section 4.3: no query, no fragment, lower-case scheme and host, no default port, percent
 * signs in upper case and only where needed, no dot segments, "/" for an empty path. Userinfo: DEP_ERR_URL_SYNTAX. */
DEP_MUST struct dep_res dep_url_normalise(struct dep_arena *arena, struct dep_str text, struct dep_str *ret_text);

#endif
