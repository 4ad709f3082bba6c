/* What the nouns of the admin API share: bodies from flags, agents by name, lists and objects. */
#ifndef DEP_CLI_ADMIN_H
#define DEP_CLI_ADMIN_H

#include "cli/http.h"
#include "cli/out.h"

enum dep_body_kind { DEP_BODY_TEXT, DEP_BODY_SWITCH, DEP_BODY_NUMBER, DEP_BODY_WORDS };

/* One flag and the member it sets. Flags that are not given set nothing. */
struct dep_body_row {
    const char *flag;
    const char *member;
    enum dep_body_kind kind; /* WORDS: blank-separated, and every repetition adds */
};
void dep_body_add(const struct dep_cli *cli, json_t *body, const struct dep_body_row *rows, size_t count);
/* The member ceiling from every --ceiling "URI SCOPE…". */
void dep_body_add_ceiling(const struct dep_cli *cli, json_t *body);
/* A new {"resource","scopes"} from "URI SCOPE…". */
json_t *dep_body_right(struct dep_str text);
/* A new array of such from every --FLAG "URI SCOPE…". */
json_t *dep_body_rights(const struct dep_cli *cli, const char *flag);
/* The member jwks from the file of --jwks, when it is given. */
int dep_body_add_jwks(struct dep_cli *cli, json_t *body);
/* A fault when an update would change nothing. */
int dep_body_check_some(struct dep_cli *cli, json_t *body);

/* The id of an agent given by id or by its name, when only one has that name. */
int dep_admin_agent_id(struct dep_cli *cli, const char *word, const char **ret_id);
/* A new array with the id of the agent of every --FLAG, given by id or name. */
int dep_body_agents(struct dep_cli *cli, const char *flag, json_t **ret_ids);
/* A call whose answer is one object: sends, prints. */
int dep_admin_object(struct dep_cli *cli, const char *method, const char *path, json_t *body);
/* GET of a collection: sends, prints {"items":[…]}. */
int dep_admin_list(struct dep_cli *cli, const char *path, const struct dep_column_spec *columns, size_t count);

#endif
