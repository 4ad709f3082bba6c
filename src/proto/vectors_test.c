/* The RFCs' own examples at the rules: the proofs of RFC 9449 with its access token and key, and where RFC 8414 puts metadata. They stand in
 * a folder of their own; without it the rows are skipped. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/url.h"
#include "proto/decide.h"
#include "proto/dpop.h"
#include "test/unit.h"

static _Alignas(16) unsigned char memory[1 << 20];
static struct dep_arena arena;
static struct dep_crypto *crypto;

static json_t *load(struct dep_test *t)
{
    const char *shared = getenv("DEPUTY_SHARED");
    char name[1024];

    if (shared == NULL || snprintf(name, sizeof(name), "%s/vectors/rfc_vectors.json", shared) >= (int)sizeof(name) ||
        access(name, R_OK) != 0) {
        DEP_SKIP(t, "the vectors are not here");
        return NULL;
    }

    json_t *root = json_load_file(name, 0, NULL);

    DEP_CHECK(t, root != NULL);
    return root;
}

static const json_t *find(const json_t *root, const char *id)
{
    const json_t *list = json_is_array(root) ? root : json_object_get(root, "vectors"), *one;
    size_t i;

    json_array_foreach(list, i, one) if (strcmp(json_string_value(json_object_get(one, "id")), id) == 0) return one;
    return NULL;
}

static struct dep_str text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? DEP_STR_ABSENT : dep_str_c(text);
}

static const struct dep_dpop_policy policy = { .age_max_s = 60, .skew_s = 10 };

DEP_TEST(proofs_of_rfc9449)
{
    static const char *const ids[] = { "rfc9449-proof-token-request", "rfc9449-proof-refresh",
                                       "rfc9449-proof-resource" };
    json_t *root = load(t);

    if (root == NULL)
        return;
    for (size_t i = 0; i < DEP_COUNT(ids); i++) {
        const json_t *one = find(root, ids[i]), *claims = json_object_get(json_object_get(one, "decoded"), "payload");
        const json_t *ath = find(root, "rfc9449-ath");
        int64_t now = json_integer_value(json_object_get(claims, "iat"));
        bool is_bound = !dep_str_is_absent(text_of(claims, "ath"));
        struct dep_str jkt = text_of(find(root, "rfc9449-jkt"), "jkt");
        struct dep_dpop_request request = {
            .proof = text_of(one, "jws"),
            .method = text_of(claims, "htm"),
            .url = text_of(claims, "htu"),
            .token = is_bound ? text_of(ath, "access_token") : DEP_STR_ABSENT,
            .bound_jkt = is_bound ? jkt : DEP_STR_ABSENT,
        };
        struct dep_dpop dpop;

        DEP_CHECK_OK(t, dep_dpop_check(&arena, crypto, &policy, &request, now, &dpop));
        DEP_CHECK_STR(t, dpop.jkt, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        DEP_CHECK_STR(t, jkt, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        DEP_CHECK(t, !dep_is_ok(dep_dpop_check(&arena, crypto, &policy, &request, now + 61, &dpop)));
        request.method = DEP_STR("PUT");
        DEP_CHECK(t, !dep_is_ok(dep_dpop_check(&arena, crypto, &policy, &request, now, &dpop)));
        request.method = text_of(claims, "htm");
        request.token = DEP_STR("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxV");
        DEP_CHECK(t, !dep_is_ok(dep_dpop_check(&arena, crypto, &policy, &request, now, &dpop)));
        dep_arena_reset(&arena);
    }
    json_decref(root);
}

DEP_TEST(metadata_of_rfc8414)
{
    json_t *root = load(t);
    const json_t *one;
    size_t i;

    if (root == NULL)
        return;
    json_array_foreach(json_object_get(find(root, "rfc8414-3.1"), "cases"), i, one)
    {
        struct dep_str path = text_of(one, "path");
        struct dep_url url;

        DEP_CHECK_OK(t, dep_url_parse(text_of(one, "issuer"), &url));
        DEP_CHECK(t, dep_endpoint_of(path, url.path) == DEP_ENDPOINT_METADATA);
        DEP_CHECK(t, dep_endpoint_of(path, DEP_STR("/other")) == DEP_ENDPOINT_NONE);
    }
    DEP_CHECK(t, i == 2);
    json_decref(root);
}

int main(void)
{
    static const struct dep_test_row rows[] = { DEP_ROW(proofs_of_rfc9449), DEP_ROW(metadata_of_rfc8414) };
    int failed;

    dep_arena_init(&arena, memory, sizeof(memory));
    crypto = dep_crypto_new();
    failed = dep_test_main(rows, DEP_COUNT(rows));
    dep_crypto_free(crypto);
    return failed;
}
