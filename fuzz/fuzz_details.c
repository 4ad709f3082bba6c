/* authorization_details: what is read strictly is also asked without harm, and asking for more never covers more. */
#include "fuzz/fuzz.h"
#include "proto/details.h"

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    static const struct dep_str actions[] = { DEP_STR_INIT("read"), DEP_STR_INIT("pay") };
    const struct dep_str url = DEP_STR("https://api.example/orders/7");
    const struct dep_details_demand little = { DEP_STR("order"), actions, 0, false, url };
    const struct dep_details_demand some = { DEP_STR("order"), actions, 1, false, url };
    const struct dep_details_demand much = { DEP_STR("order"), actions, 2, true, url };
    struct dep_str text = dep_fuzz_text(data, size);
    struct dep_json *json = NULL;
    struct dep_arena arena;
    bool is_good;

    if (size > 65536)
        return;
    dep_arena_init_debug(&arena, DEP_FUZZ_ARENA);
    is_good =
        dep_is_ok(dep_json_parse(&arena, text, DEP_DETAILS_DEPTH_MAX, &json)) && dep_is_ok(dep_details_check(json));
    DEP_FUZZ_CHECK(is_good || !dep_details_cover(&arena, text, &little));
    DEP_FUZZ_CHECK(!dep_details_cover(&arena, text, &much) || dep_details_cover(&arena, text, &some));
    DEP_FUZZ_CHECK(!dep_details_cover(&arena, text, &some) || dep_details_cover(&arena, text, &little));
    dep_arena_reset(&arena);
}
