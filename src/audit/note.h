/* Checkpoints as signed notes: C2SP tlog-checkpoint in C2SP signed-note, Ed25519 (signature type 0x01).
 *
 *     deputy/as.example.org
 *     1234
 *     <base64 of the root>
 *
 *     — deputy/as.example.org <base64 of 4 bytes key hash and 64 bytes signature>
 *
 * The signature covers the three lines. */
#ifndef DEP_AUDIT_NOTE_H
#define DEP_AUDIT_NOTE_H

#include "base/buf.h"
#include "base/res.h"
#include "crypto/crypto.h"

#define DEP_NOTE_NAME_MAX 255u
#define DEP_NOTE_MAX 1024u
#define DEP_NOTE_KEY_LEN 32u

/* Who signs: the name is also the origin of the checkpoints. */
struct dep_note_signer {
    char name[DEP_NOTE_NAME_MAX + 1];
    size_t name_len;
    unsigned char key_hash[4];
    unsigned char public_key[DEP_NOTE_KEY_LEN];
};

struct dep_note {
    struct dep_str text; /* what is signed, its last newline included */
    struct dep_str origin;
    uint64_t size;
    unsigned char root[DEP_SHA256_LEN];
    struct dep_str signatures; /* the lines after the blank one */
    size_t bytes;              /* of the whole note */
};

/* DEP_ERR_AUDIT_SYNTAX when the name has a blank, a plus or a control character, or the key is not Ed25519. */
DEP_MUST struct dep_res dep_note_signer_of(struct dep_crypto *crypto, struct dep_str name,
                                           const struct dep_private_key *key, struct dep_note_signer *ret_signer);
/* From the verifier key line "name+hash+base64". */
DEP_MUST struct dep_res dep_note_signer_read(struct dep_crypto *crypto, struct dep_str line,
                                             struct dep_note_signer *ret_signer);
/* The verifier key line, without a newline. */
void dep_note_signer_write(struct dep_buf *buf, const struct dep_note_signer *signer);

/* Writes a whole note. */
DEP_MUST struct dep_res dep_note_sign(struct dep_crypto *crypto, const struct dep_note_signer *signer,
                                      const struct dep_private_key *key, uint64_t size,
                                      const unsigned char root[DEP_SHA256_LEN], struct dep_buf *buf);
/* Reads the note at the start of `text`: DEP_ERR_AUDIT_SYNTAX. */
DEP_MUST struct dep_res dep_note_read(struct dep_str text, struct dep_note *ret_note);
/* The origin is the signer's name, and one of the signatures is the signer's and good: DEP_ERR_AUDIT_CORRUPT. */
DEP_MUST struct dep_res dep_note_verify(struct dep_crypto *crypto, const struct dep_note_signer *signer,
                                        const struct dep_note *note);

#endif
