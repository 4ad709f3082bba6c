/* deputy token: the table. */
#include "cli/token.h"

#include "cli/nouns.h"
#include "cli/oauth.h"

#define REQUEST_FLAGS                                                                                                    \
    { "resource", DEP_FLAG_TEXT, "URI", DEP_FLAG_REPEATED, "the API it is for (RFC 8707)", 0 },                          \
        { "audience", DEP_FLAG_TEXT, "ID", DEP_FLAG_REPEATED, "the agent it is handed to, agent:…, or a foreign server", \
          0 },                                                                                                           \
        { "scope", DEP_FLAG_TEXT, "\"SCOPE…\"", 0, "what it may do; an over-ask is refused, never narrowed", 0 },        \
        { "may-act", DEP_FLAG_TEXT, "AGENT", 0, "who else may act with it, agent:…", 0 },                                \
        { "task", DEP_FLAG_TEXT, "ID", 0, "task_id: the job at hand", 0 },                                               \
        { "parent-task", DEP_FLAG_TEXT, "ID", 0, "parent_task_id", 0 },                                                  \
        { "instruction", DEP_FLAG_TEXT, "TEXT|file:PATH", 0, "what the human said; kept by the audit log alone", 0 },    \
        { "dpop-key", DEP_FLAG_SECRET, "SOURCE", 0, "bind the token to this key (DPoP)", 0 },                            \
        { "out", DEP_FLAG_TEXT, "FILE", 0, "write the token there, mode 0600, instead of showing it", 0 },               \
    {                                                                                                                    \
        "raw", DEP_FLAG_SWITCH, NULL, 0, "print the token and nothing else", 0                                           \
    }

static const struct dep_flag get_flags[] = { DEP_CLIENT_FLAGS, REQUEST_FLAGS };

static const struct dep_flag exchange_flags[] = {
    DEP_CLIENT_FLAGS,
    { "subject-token", DEP_FLAG_SECRET, "SOURCE", DEP_FLAG_REQUIRED, "the token to exchange", 0 },
    { "subject-token-type", DEP_FLAG_CHOICE, "access_token|id_token|jwt", 0, "default access_token: one of this issuer",
      0 },
    { "actor-token", DEP_FLAG_SECRET, "SOURCE", 0, "who acts; default the client's own agent", 0 },
    { "actor-token-type", DEP_FLAG_CHOICE, "access_token|jwt", 0, "default access_token", 0 },
    { "requested-type", DEP_FLAG_CHOICE, "access_token|jwt|id-jag", 0, "jwt, id-jag: a grant for the server --audience",
      0 },
    REQUEST_FLAGS,
};

static const struct dep_flag token_flags[] = {
    DEP_CLIENT_FLAGS,
    { "token", DEP_FLAG_SECRET, "SOURCE", DEP_FLAG_REQUIRED, "the token it is about", 0 },
};

static const struct dep_flag preview_flags[] = {
    { "client", DEP_FLAG_TEXT, "CLIENT", DEP_FLAG_REQUIRED, "whose token it would be", 0 },
    { "resource", DEP_FLAG_TEXT, "URI", DEP_FLAG_REPEATED, "the API it would be for", 0 },
    { "audience", DEP_FLAG_TEXT, "ID", DEP_FLAG_REPEATED, "the agent it would be handed to, agent:…", 0 },
    { "scope", DEP_FLAG_TEXT, "\"SCOPE…\"", 0, "what it would do; without it every scope of the API is shown", 0 },
    { "subject-token", DEP_FLAG_SECRET, "SOURCE", 0, "the token that would be exchanged", 0 },
    { "may-act", DEP_FLAG_TEXT, "AGENT", 0, "who else could act with it, agent:…", 0 },
    { "task", DEP_FLAG_TEXT, "ID", 0, "task_id", 0 },
    { "parent-task", DEP_FLAG_TEXT, "ID", 0, "parent_task_id", 0 },
};

static const struct dep_flag verify_flags[] = {
    { "ca", DEP_FLAG_TEXT, "FILE", 0, "who may vouch for the server, PEM; default the system's authorities", 0 },
    { "audience", DEP_FLAG_TEXT, "URI", 0, "must be meant for this; default any", 0 },
};

static const struct dep_flag key_flags[] = {
    { "out", DEP_FLAG_TEXT, "FILE", 0, "make a new key in this new file, mode 0600", 0 },
    { "key", DEP_FLAG_SECRET, "SOURCE", 0, "or show the public half of this one", 0 },
    { "alg", DEP_FLAG_CHOICE, "ES256|EdDSA|RS256|PS256", 0, "of a new key; default ES256", 0 },
};

static const struct dep_flag proof_flags[] = {
    { "key", DEP_FLAG_SECRET, "SOURCE", DEP_FLAG_REQUIRED, "the key the token is bound to", 0 },
    { "url", DEP_FLAG_TEXT, "URL", DEP_FLAG_REQUIRED, "the request's URL", 0 },
    { "method", DEP_FLAG_TEXT, "METHOD", 0, "default GET", 0 },
    { "token", DEP_FLAG_SECRET, "SOURCE", 0, "the token that goes with it", 0 },
    { "nonce", DEP_FLAG_TEXT, "NONCE", 0, "from the last DPoP-Nonce header", 0 },
};

static const struct dep_verb verbs[] = {
    { "get", NULL, 0, 0, "a token of the client's own (client_credentials)", DEP_CLI_FLAGS(get_flags),
      dep_token_verb_get, false },
    { "exchange", NULL, 0, 0, "narrow a token, or act on one handed over (RFC 8693)", DEP_CLI_FLAGS(exchange_flags),
      dep_token_verb_exchange, false },
    { "preview", NULL, 0, 0, "what would be issued, and what allows or forbids each scope",
      DEP_CLI_FLAGS(preview_flags), dep_token_verb_preview, true },
    { "introspect", NULL, 0, 0, "ask the server about a token (RFC 7662)", DEP_CLI_FLAGS(token_flags),
      dep_token_verb_introspect, false },
    { "revoke", NULL, 0, 0, "kill a token and all that grew from it (RFC 7009)", DEP_CLI_FLAGS(token_flags),
      dep_token_verb_revoke, false },
    { "decode", "SOURCE", 1, 1, "show what a token says, without checking anything", NULL, 0, dep_token_verb_decode,
      true },
    { "verify", "SOURCE", 1, 1, "check a token with the issuer's keys, as a guard does", DEP_CLI_FLAGS(verify_flags),
      dep_token_verb_verify, true },
    { "key", NULL, 0, 0, "make a key for DPoP or private_key_jwt, or show one's public half", DEP_CLI_FLAGS(key_flags),
      dep_token_verb_key, false },
    { "dpop-proof", NULL, 0, 0, "one proof for one request, for use with curl", DEP_CLI_FLAGS(proof_flags),
      dep_token_verb_proof, false },
};

const struct dep_noun dep_noun_token = { "token", "tokens: get, exchange, look at, revoke", DEP_CLI_FLAGS(verbs) };
