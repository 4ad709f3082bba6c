/* deputy agent: the principals. */
#include <string.h>

#include "cli/admin.h"
#include "cli/nouns.h"

#define AGENTS "/admin/v1/agents"
#define TREE_DEPTH_MAX 32

#define SHARED_FLAGS                                                                                                \
    { "name", DEP_FLAG_TEXT, "NAME", 0, "what people call it", 0 },                                                 \
        { "agent-version", DEP_FLAG_TEXT, "TEXT", 0, "its version", 0 },                                            \
        { "purpose", DEP_FLAG_TEXT, "TEXT", 0, "what it is for", 0 },                                               \
    {                                                                                                               \
        "ceiling", DEP_FLAG_TEXT, "\"URI SCOPE…\"", DEP_FLAG_REPEATED, "the most it may ever have at a resource", 0 \
    }

#define DELEGATION_FLAGS                                                                          \
    {                                                                                             \
        "delegate-to",                                                                            \
        DEP_FLAG_TEXT,                                                                            \
        "AGENT",                                                                                  \
        DEP_FLAG_REPEATED,                                                                        \
        "whom it may hand over to; default its organisation",                                     \
        0                                                                                         \
    },                                                                                            \
        { "delegate",                                                                             \
          DEP_FLAG_TEXT,                                                                          \
          "\"URI SCOPE…\"",                                                                       \
          DEP_FLAG_REPEATED,                                                                      \
          "the most it may hand over; default its ceiling",                                       \
          0 },                                                                                    \
        { "delegate-depth", DEP_FLAG_NUMBER, "N", 0, "actors that may follow it in a chain", 0 }, \
        { "delegate-lifetime", DEP_FLAG_NUMBER, "SECONDS", 0, "of what it hands over", 0 },       \
    {                                                                                             \
        "delegate-nothing", DEP_FLAG_SWITCH, NULL, 0, "it may hand over to nobody", 0             \
    }

static const struct dep_flag create_flags[] = {
    SHARED_FLAGS,
    DELEGATION_FLAGS,
    { "owner", DEP_FLAG_TEXT, "WHO", DEP_FLAG_REQUIRED, "the person or team that answers for it", 0 },
    { "org", DEP_FLAG_TEXT, "ORG", 0, "its organisation", 0 },
    { "parent", DEP_FLAG_TEXT, "AGENT", 0, "the agent above it, by id or name", 0 },
};

static const struct dep_flag update_flags[] = { SHARED_FLAGS, DELEGATION_FLAGS };

static const struct dep_body_row create_rows[] = {
    { "name", "name", DEP_BODY_TEXT },       { "owner", "owner", DEP_BODY_TEXT },
    { "org", "org", DEP_BODY_TEXT },         { "agent-version", "agent_version", DEP_BODY_TEXT },
    { "purpose", "purpose", DEP_BODY_TEXT },
};

static const struct dep_body_row update_rows[] = {
    { "name", "name", DEP_BODY_TEXT },
    { "agent-version", "agent_version", DEP_BODY_TEXT },
    { "purpose", "purpose", DEP_BODY_TEXT },
};

static const struct dep_column_spec columns[] = {
    { "ID", "id" },       { "NAME", "name" },     { "STATE", "state" },
    { "OWNER", "owner" }, { "PARENT", "parent" }, { "CEILING", "ceiling" },
};

static const struct dep_body_row delegation_rows[] = {
    { "delegate-depth", "depth_max", DEP_BODY_NUMBER },
    { "delegate-lifetime", "lifetime_max_s", DEP_BODY_NUMBER },
};

/* The member delegation, as a whole, when any of its flags is given. */
static int add_delegation(struct dep_cli *cli, json_t *body)
{
    json_t *delegation = json_object(), *to = NULL;
    int code = dep_body_agents(cli, "delegate-to", &to);

    dep_body_add(cli, delegation, delegation_rows, DEP_CLI_COUNT(delegation_rows));
    if (dep_cli_has(cli, "delegate"))
        json_object_set_new(delegation, "rights", dep_body_rights(cli, "delegate"));
    if (code == DEP_EXIT_OK && dep_cli_is_on(cli, "delegate-nothing") && json_array_size(to) > 0)
        code = dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value",
                            "--delegate-nothing and --delegate-to contradict each other");
    if (json_array_size(to) > 0 || dep_cli_is_on(cli, "delegate-nothing"))
        json_object_set(delegation, "to", to);
    json_decref(to);
    if (code == DEP_EXIT_OK && json_object_size(delegation) > 0)
        json_object_set(body, "delegation", delegation);
    json_decref(delegation);
    return code;
}

static int create(struct dep_cli *cli)
{
    int code;

    const char *parent = dep_cli_get(cli, "parent");
    json_t *body;

    if (!dep_cli_has(cli, "name")) {
        dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value", "--name: this flag is required");
        dep_cli_suggest(cli, "deputy agent create --help");
        return DEP_EXIT_USAGE;
    }
    if (parent != NULL) {
        code = dep_admin_agent_id(cli, parent, &parent);
        if (code != DEP_EXIT_OK)
            return code;
    }
    body = json_object();
    dep_body_add(cli, body, create_rows, DEP_CLI_COUNT(create_rows));
    if (parent != NULL)
        json_object_set_new(body, "parent", json_string(parent));
    dep_body_add_ceiling(cli, body);
    code = add_delegation(cli, body);
    if (code == DEP_EXIT_OK)
        return dep_admin_object(cli, "POST", AGENTS, body);
    json_decref(body);
    return code;
}

static int list(struct dep_cli *cli)
{
    return dep_admin_list(cli, AGENTS, columns, DEP_CLI_COUNT(columns));
}

/* A call on the one agent that the argument names. */
static int on_agent(struct dep_cli *cli, const char *method, const char *tail, json_t *body)
{
    const char *id = NULL;
    int code = dep_admin_agent_id(cli, cli->args[0], &id);

    if (code != DEP_EXIT_OK) {
        json_decref(body);
        return code;
    }
    return dep_admin_object(cli, method, dep_admin_path(cli, AGENTS "/", id, tail), body);
}

static int get(struct dep_cli *cli)
{
    return on_agent(cli, "GET", "", NULL);
}

static int update(struct dep_cli *cli)
{
    json_t *body = json_object();
    int code;

    dep_body_add(cli, body, update_rows, DEP_CLI_COUNT(update_rows));
    if (dep_cli_has(cli, "ceiling"))
        dep_body_add_ceiling(cli, body);
    code = add_delegation(cli, body);
    if (code != DEP_EXIT_OK) {
        json_decref(body);
        return code;
    }
    code = dep_body_check_some(cli, body);
    return code == DEP_EXIT_OK ? on_agent(cli, "PATCH", "", body) : code;
}

static int suspend(struct dep_cli *cli)
{
    return on_agent(cli, "POST", "/suspend", json_object());
}

static int resume(struct dep_cli *cli)
{
    return on_agent(cli, "POST", "/resume", json_object());
}

static int ban(struct dep_cli *cli)
{
    return on_agent(cli, "POST", "/ban", json_object());
}

static bool is_child_of(const json_t *agent, const char *parent)
{
    const char *own = json_string_value(json_object_get(agent, "parent"));

    return parent == NULL ? own == NULL : own != NULL && strcmp(own, parent) == 0;
}

static void put_line(const struct dep_cli *cli, const json_t *agent, unsigned depth)
{
    const char *name = json_string_value(json_object_get(agent, "name"));
    const char *id = json_string_value(json_object_get(agent, "id"));
    const char *state = json_string_value(json_object_get(agent, "state"));

    fprintf(cli->out, "%*s%s", (int)(depth * 3), "", depth > 0 ? "└─ " : "");
    dep_out_clean(cli->out, name != NULL ? name : "?");
    fprintf(cli->out, "  %s  %s\n", id != NULL ? id : "?", state != NULL ? state : "?");
}

/* The agents below `parent`, each with its children; a table is printed on the way. */
static json_t *branch(const struct dep_cli *cli, const json_t *items, const char *parent, unsigned depth)
{
    json_t *children = json_array();
    const json_t *agent;
    size_t i;

    json_array_foreach(items, i, agent)
    {
        json_t *copy;

        if (!is_child_of(agent, parent) || depth > TREE_DEPTH_MAX)
            continue;
        if (cli->format == DEP_FORMAT_TABLE)
            put_line(cli, agent, depth);
        copy = json_copy((json_t *)(uintptr_t)agent);
        json_object_set_new(copy, "children",
                            branch(cli, items, json_string_value(json_object_get(agent, "id")), depth + 1));
        json_array_append_new(children, copy);
    }
    return children;
}

static int tree(struct dep_cli *cli)
{
    json_t *json = NULL;
    json_t *top;
    int code = dep_admin_call(cli, "GET", AGENTS, NULL, &json);

    if (code != DEP_EXIT_OK || json == NULL)
        return code;
    top = branch(cli, json_object_get(json, "items"), NULL, 0);
    if (cli->format != DEP_FORMAT_TABLE)
        dep_out_list(cli, top, columns, DEP_CLI_COUNT(columns));
    json_decref(top);
    json_decref(json);
    return DEP_EXIT_OK;
}

static const struct dep_verb verbs[] = {
    { "create", NULL, 0, 0, "register an agent; --name and --owner are required", DEP_CLI_FLAGS(create_flags), create,
      false },
    { "list", NULL, 0, 0, "all agents", NULL, 0, list, false },
    { "get", "AGENT", 1, 1, "one agent, by id or name", NULL, 0, get, false },
    { "update", "AGENT", 1, 1, "change name, version, purpose or ceiling", DEP_CLI_FLAGS(update_flags), update, false },
    { "suspend", "AGENT", 1, 1, "no tokens for it and its subtree until it is resumed", NULL, 0, suspend, false },
    { "resume", "AGENT", 1, 1, "end a suspension", NULL, 0, resume, false },
    { "ban", "AGENT", 1, 1, "the kill switch: for good, with its whole subtree", NULL, 0, ban, false },
    { "tree", NULL, 0, 0, "who stands below whom", NULL, 0, tree, false },
};

const struct dep_noun dep_noun_agent = { "agent", "agents: the principals, their ceilings and their kill switch",
                                         DEP_CLI_FLAGS(verbs) };
