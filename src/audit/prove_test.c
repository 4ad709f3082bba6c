/* Inclusion proofs: every record can be proved, nothing else can. */
#include "audit/prove.h"

#include "audit/fixture.h"

struct proved {
    char line[1024], proof[DEP_PROOF_MAX];
    struct dep_buf line_buf, proof_buf;
};

static struct dep_res prove(const struct fixture *f, uint64_t index, struct proved *ret)
{
    dep_buf_init(&ret->line_buf, ret->line, sizeof(ret->line));
    dep_buf_init(&ret->proof_buf, ret->proof, sizeof(ret->proof));
    return dep_audit_prove(f->directory, index, &ret->line_buf, &ret->proof_buf);
}

DEP_TEST(proves_every_record)
{
    static struct proved proved;
    struct fixture f;
    size_t key_len;
    char *key;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_FAIL(t, prove(&f, 0, &proved), STORE_MISSING);
    DEP_CHECK_OK(t, fixture_append(&f, 21));
    DEP_CHECK_FAIL(t, prove(&f, 0, &proved), STORE_MISSING);
    DEP_CHECK_OK(t, dep_audit_checkpoint(f.log));
    DEP_CHECK_OK(t, fixture_append(&f, 2));
    key = fixture_read(&f, "key.pub", &key_len);
    for (uint64_t i = 0; i < 21; i++) {
        uint64_t index = 99;
        char wanted[128];

        DEP_CHECK_OK(t, prove(&f, i, &proved));
        record_text(i, wanted);
        DEP_CHECK_STR(t, dep_buf_str(&proved.line_buf), wanted);
        DEP_CHECK_OK(t, dep_audit_check_proof(dep_str(key, key_len), dep_buf_str(&proved.line_buf),
                                              dep_buf_str(&proved.proof_buf), &index));
        DEP_CHECK(t, index == i);
        record_text(i + 1, wanted);
        DEP_CHECK_FAIL(
            t, dep_audit_check_proof(dep_str(key, key_len), dep_str_c(wanted), dep_buf_str(&proved.proof_buf), &index),
            AUDIT_CORRUPT);
    }
    DEP_CHECK_FAIL(t, prove(&f, 21, &proved), STORE_MISSING);
    free(key);
    fixture_done(&f);
}

DEP_TEST(J08_no_byte_of_a_proof_can_be_changed)
{
    static struct proved proved;
    struct fixture f;
    size_t key_len;
    uint64_t index;
    char *key;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_OK(t, fixture_append(&f, 21));
    DEP_CHECK_OK(t, dep_audit_checkpoint(f.log));
    key = fixture_read(&f, "key.pub", &key_len);
    DEP_CHECK_OK(t, prove(&f, 13, &proved));
    for (size_t i = 0; i < proved.proof_buf.len; i++) {
        proved.proof[i] ^= 1;
        DEP_CHECK(t, !dep_is_ok(dep_audit_check_proof(dep_str(key, key_len), dep_buf_str(&proved.line_buf),
                                                      dep_buf_str(&proved.proof_buf), &index)));
        DEP_CHECK(t, !dep_is_ok(dep_audit_check_proof(dep_str(key, key_len), dep_buf_str(&proved.line_buf),
                                                      dep_str(proved.proof, i), &index)));
        proved.proof[i] ^= 1;
    }
    DEP_CHECK_OK(t, dep_audit_check_proof(dep_str(key, key_len), dep_buf_str(&proved.line_buf),
                                          dep_buf_str(&proved.proof_buf), &index));
    free(key);
    fixture_done(&f);
}

DEP_TEST(J06_a_changed_log_proves_nothing)
{
    static struct proved proved;
    struct fixture f;
    size_t len;
    char *bytes;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_OK(t, fixture_append(&f, 5));
    DEP_CHECK_OK(t, dep_audit_checkpoint(f.log));
    bytes = fixture_read(&f, "log/0000000000.jsonl", &len);
    bytes[10] ^= 1;
    fixture_write(&f, "log/0000000000.jsonl", bytes, len);
    DEP_CHECK_FAIL(t, prove(&f, 0, &proved), AUDIT_CORRUPT);
    DEP_CHECK_FAIL(t, prove(&f, 3, &proved), AUDIT_CORRUPT);
    bytes[10] ^= 1;
    fixture_write(&f, "log/0000000000.jsonl", bytes, len);
    DEP_CHECK_OK(t, prove(&f, 3, &proved));
    free(bytes);
    fixture_done(&f);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(proves_every_record),
        DEP_ROW(J08_no_byte_of_a_proof_can_be_changed),
        DEP_ROW(J06_a_changed_log_proves_nothing),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}
