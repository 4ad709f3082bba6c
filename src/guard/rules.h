/* Rules at the guard: which request needs what. One rule decides a request: the first one, in the order of the file, that is
 * about its method, its path and, where it names them, its MCP message. A request that no rule is about is refused.
 *
 * Whoever reads a configuration fills in the rows and calls dep_guard_rules_make(), which checks them and prepares them
 * for look-up. Nothing in a row means "any" by being left out: methods and path are needed, and a rule that asks for a
 * token and nothing more says so (`any_token`). Invariants:
 *  (1) A path or method that a server behind the guard could read as another one is refused, never matched to a weaker
 *      rule: dot segments, empty segments, needless percent signs, another letter case (attack cases K19, O21).
 *  (2) A rule about MCP messages that cannot be asked refuses; it is not passed over (G10). */
#ifndef DEP_GUARD_RULES_H
#define DEP_GUARD_RULES_H

#include "guard/mcp.h"

#define DEP_GUARD_RULES_MAX 256u
#define DEP_GUARD_RULE_ITEMS_MAX 64u
#define DEP_GUARD_RULE_NAME_MAX 64u

struct dep_guard_list {
    const struct dep_str *items;
    size_t count;
};

/* One scope a rule needs, and the scopes that imply it. */
struct dep_guard_need {
    struct dep_str scope;
    struct dep_guard_list also;
};

struct dep_guard_rule {
    /* what it is about */
    struct dep_str name;               /* stands in audit records: [A-Za-z0-9._-], unique */
    struct dep_guard_list methods;     /* "GET" (HEAD too), "POST", …; "*" alone: every method */
    struct dep_str path;               /* a segment "*" stands for any one, "**" at the end for everything below */
    struct dep_guard_list mcp_methods; /* "tools/call"; "*" alone: every message; none: not about MCP */
    struct dep_guard_list mcp_names;   /* of tools, prompts, resources: "search", "read_*"; none: not asked */
    /* what it needs */
    bool any_token;        /* a token for this resource, and nothing more */
    struct dep_str scopes; /* all of them, blank between */
    struct dep_guard_list
        actors; /* who may present the token: the current actor (rfc8693#4.1), or the subject itself */
    struct dep_guard_list orgs;
    int64_t depth_max; /* actors in the chain; -1: not asked */
    bool needs_dpop;
    bool needs_bound;            /* to a key by DPoP, or to a certificate (rfc8705#3) */
    struct dep_str acr_values;   /* one of them (rfc9470#3), blank between; absent: not asked */
    int64_t max_age_s;           /* since the user's login; -1: not asked */
    struct dep_str details_type; /* of an authorization_details object (rfc9396); absent: not asked */
    struct dep_guard_list details_actions;
    bool details_need_location;
    /* made by dep_guard_rules_make() */
    unsigned method_bits;
    struct dep_guard_need *needs;
    size_t needs_count;
    struct dep_str challenge; /* every scope the operation needs, at once; absent: none */
};

/* What tells most rules apart at one glance: the last eight bytes before any wildcard of the path, in small letters. */
struct dep_guard_probe {
    uint64_t word, mask;
    unsigned end; /* of the bytes */
    unsigned method_bits;
};

/* "admin" implies "read": who has the one has the other. */
struct dep_guard_implication {
    struct dep_str scope, implies;
};

struct dep_guard_rules {
    struct dep_guard_rule *rows; /* in order */
    size_t count;
    const struct dep_guard_implication *implications;
    size_t implications_count;
    struct dep_guard_list origins;        /* of web pages that may send requests; none: Origin is not looked at */
    bool mcp_headers_count;               /* the server behind refuses a message that its Mcp-* headers do not fit */
    bool has_mcp;                         /* made: a rule is about MCP */
    const struct dep_guard_probe *probes; /* made: one for each row */
};

struct dep_guard_rules_fault {
    size_t rule; /* the row; `count`: not about one */
    char text[240];
};

/* Checks the rows and fills in the rest. `base` scopes are needed by every rule; may be absent. Everything lives as long
 * as the arena and the texts of the rows. DEP_ERR_CONFIG_SYNTAX with a fault; DEP_ERR_ARENA_FULL. */
DEP_MUST struct dep_res dep_guard_rules_make(struct dep_arena *arena, struct dep_guard_rules *rules,
                                             struct dep_str base, struct dep_guard_rules_fault *ret_fault);

/* The rule that decides. `mcp` may be NULL: not read yet. DEP_ERR_GUARD_TOOL_UNKNOWN when a rule about MCP is reached
 * and the message is not known; DEP_ERR_GUARD_NO_RULE, DEP_ERR_GUARD_PATH. */
DEP_MUST struct dep_res dep_guard_rules_find(const struct dep_guard_rules *rules, struct dep_str method,
                                             struct dep_str path, const struct dep_guard_mcp *mcp,
                                             const struct dep_guard_rule **ret_rule);
/* The scopes of a token, with what they imply, hold what the rule needs. */
bool dep_guard_rule_has_scopes(const struct dep_guard_rule *rule, struct dep_str scope);

/* Shared with rules_make.c. */
#define DEP_GUARD_METHOD_ANY (~0u)
unsigned dep_guard_method_bit(struct dep_str method); /* 0: no method this guard knows */
enum dep_guard_fit { DEP_GUARD_FITS_NOT, DEP_GUARD_FITS_BUT_CASE, DEP_GUARD_FITS };
enum dep_guard_fit dep_guard_path_fits(struct dep_str pattern, struct dep_str path);
/* The bytes of `path` before `end` as a probe sees them; `path` is that long. */
uint64_t dep_guard_probe_word(struct dep_str path, size_t end);
bool dep_guard_path_is_plain(struct dep_str path);
bool dep_guard_list_has(struct dep_guard_list texts, struct dep_str text);

#endif
