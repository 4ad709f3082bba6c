/* authorization_details (RFC 9396 sections 2 and 9.1). Fields that only a type knows are left to who knows the type. */
#include "proto/details.h"

#include "base/url.h"

static bool is_text(const struct dep_json *value)
{
    struct dep_str text;

    return dep_is_ok(dep_json_str(value, &text)) && !dep_str_is_blank(text);
}

static bool is_list(const struct dep_json *value)
{
    if (value->type != DEP_JSON_ARRAY || value->count > DEP_DETAILS_ITEMS_MAX)
        return false;
    for (const struct dep_json *item = value->child; item != NULL; item = item->next)
        if (!is_text(item))
            return false;
    return true;
}

/* rfc9396#2.2: the fields that every type may use, each with one form. */
static bool is_object(const struct dep_json *object)
{
    static const struct dep_str lists[] = { DEP_STR_INIT("locations"), DEP_STR_INIT("actions"),
                                            DEP_STR_INIT("datatypes"), DEP_STR_INIT("privileges") };
    const struct dep_json *identifier = DEP_JSON_GET(object, "identifier");

    if (object->type != DEP_JSON_OBJECT || !is_text(DEP_JSON_GET(object, "type")))
        return false;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        const struct dep_json *list = dep_json_get(object, lists[i]);

        if (list != NULL && !is_list(list))
            return false;
    }
    return identifier == NULL || is_text(identifier);
}

struct dep_res dep_details_check(const struct dep_json *details)
{
    if (details == NULL || details->type != DEP_JSON_ARRAY || details->count == 0 || details->count > DEP_DETAILS_MAX ||
        details->raw.len > DEP_DETAILS_BYTES_MAX)
        return DEP_FAIL(JWT_CLAIMS);
    for (const struct dep_json *object = details->child; object != NULL; object = object->next)
        if (!is_object(object))
            return DEP_FAIL(JWT_CLAIMS);
    return DEP_OK;
}

static bool has_action(const struct dep_json *actions, struct dep_str action)
{
    for (const struct dep_json *item = actions == NULL ? NULL : actions->child; item != NULL; item = item->next)
        if (dep_str_eq(item->text, action))
            return true;
    return false;
}

/* At the location or below it: "/orders" covers "/orders/7" and not "/orders2". */
static bool is_at(struct dep_arena *arena, struct dep_str location, struct dep_str url)
{
    struct dep_url parts;
    struct dep_str base;

    if (!dep_is_ok(dep_url_parse(location, &parts)) || !dep_str_is_absent(parts.query) ||
        !dep_str_is_absent(parts.fragment) || !dep_is_ok(dep_url_normalise(arena, location, &base)))
        return false;
    if (dep_str_eq(url, base))
        return true;
    if (dep_str_ends(base, DEP_STR("/")))
        base.len--;
    return dep_str_starts(url, base) && url.len > base.len && url.ptr[base.len] == '/';
}

static bool has_location(struct dep_arena *arena, const struct dep_json *locations, struct dep_str url)
{
    for (const struct dep_json *item = locations->child; item != NULL; item = item->next)
        if (is_at(arena, item->text, url))
            return true;
    return false;
}

static bool covers(struct dep_arena *arena, const struct dep_json *object, const struct dep_details_demand *demand)
{
    const struct dep_json *actions = DEP_JSON_GET(object, "actions"), *locations = DEP_JSON_GET(object, "locations");

    if (!dep_str_eq(DEP_JSON_GET(object, "type")->text, demand->type))
        return false;
    for (size_t i = 0; i < demand->actions_count; i++)
        if (!has_action(actions, demand->actions[i]))
            return false;
    return locations == NULL ? !demand->needs_location : has_location(arena, locations, demand->url);
}

bool dep_details_cover(struct dep_arena *arena, struct dep_str details, const struct dep_details_demand *demand)
{
    struct dep_json *json = NULL;

    if (dep_str_is_blank(details) || dep_str_is_blank(demand->type) ||
        !dep_is_ok(dep_json_parse(arena, details, DEP_DETAILS_DEPTH_MAX, &json)) || !dep_is_ok(dep_details_check(json)))
        return false;
    for (const struct dep_json *object = json->child; object != NULL; object = object->next)
        if (covers(arena, object, demand))
            return true;
    return false;
}
