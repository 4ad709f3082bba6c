/* What a guard is told, checked, and the texts that follow from it and never change while it runs. */
#ifndef DEP_GUARD_SETUP_H
#define DEP_GUARD_SETUP_H

#include "base/arena.h"
#include "base/res.h"
#include "guard/certificate.h"

struct dep_guard_setup {
    struct dep_str resource;       /* absolute URI: the only audience accepted. Required */
    struct dep_str resource_name;  /* for people, in the resource metadata; absent: none */
    struct dep_str issuer;         /* exactly as in its metadata. Required */
    struct dep_str public_url;     /* scheme and authority that callers use; absent: the resource's */
    struct dep_str scopes;         /* scopes every request needs; absent: none */
    struct dep_str scopes_offered; /* scopes_supported of the resource metadata */
    bool needs_dpop;
    bool may_loopback;   /* an issuer over plain http on loopback */
    bool has_rsa_proofs; /* DPoP proofs by RSA keys too */
    enum dep_guard_certificates certificates;
};

/* What is wrong with it: the name of the setting, and a sentence. */
struct dep_guard_fault {
    const char *setting, *text; /* NULL: nothing is wrong */
};
/* A guard that does not know what it guards, for whom, or where to ask, does not start (attack case O09). */
struct dep_guard_fault dep_guard_setup_check(const struct dep_guard_setup *setup);

struct dep_guard_texts {
    struct dep_str origin;        /* scheme and authority: "https://api.example" */
    struct dep_str metadata_url;  /* of the protected-resource metadata (RFC 9728) */
    struct dep_str metadata_path; /* its path */
    struct dep_str metadata;      /* the document */
    struct dep_str node;          /* of the audit records: "guard " + resource */
    struct dep_str log_origin;    /* of the audit log: "deputy/guard/" + the resource without its scheme */
};
/* Into the arena. DEP_ERR_ARENA_FULL, DEP_ERR_BUF_FULL: too long. */
DEP_MUST struct dep_res dep_guard_texts(struct dep_arena *arena, const struct dep_guard_setup *setup,
                                        struct dep_guard_texts *ret_texts);

#endif
