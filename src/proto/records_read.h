/* What the readers and writers of records share. Inside proto/ only. */
#ifndef DEP_PROTO_RECORDS_READ_H
#define DEP_PROTO_RECORDS_READ_H

#include "proto/records.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

bool dep_record_index(const char *const *names, size_t count, struct dep_str name, size_t *ret_index);
/* An object whose members all stand in `names`, a list with blanks between: DEP_ERR_ADMIN_INPUT. */
DEP_MUST struct dep_res dep_record_only(const struct dep_json *json, const char *names);
/* A text that says something; absent only when it is not required. null counts as absent. */
DEP_MUST struct dep_res dep_record_text(const struct dep_json *json, struct dep_str name, bool is_required,
                                        struct dep_str *ret_text);
DEP_MUST struct dep_res dep_record_number(const struct dep_json *json, struct dep_str name, int64_t *ret_value);
DEP_MUST struct dep_res dep_record_flag(const struct dep_json *json, struct dep_str name, bool *ret_value);
/* An array of single scopes, none twice. Absent: none. */
DEP_MUST struct dep_res dep_record_scopes(struct dep_arena *arena, const struct dep_json *array,
                                          struct dep_str **ret_scopes, size_t *ret_count);
/* "agent:" + ULID. */
DEP_MUST struct dep_res dep_record_agent_id(struct dep_str id);
/* An absolute URI without fragment. */
DEP_MUST struct dep_res dep_record_uri(struct dep_str uri);
DEP_MUST struct dep_res dep_record_ceiling(struct dep_arena *arena, const struct dep_json *array,
                                           struct dep_right **ret_rights, size_t *ret_count);
void dep_record_write_scopes(struct dep_json_writer *writer, const char *name, const struct dep_str *scopes,
                             size_t count);
/* Ids of agents, 256 at most. */
DEP_MUST struct dep_res dep_record_agents(struct dep_arena *arena, const struct dep_json *array,
                                          struct dep_str **ret_ids, size_t *ret_count);
void dep_record_write_rights(struct dep_json_writer *writer, const char *name, const struct dep_right *rights,
                             size_t count);

#define TEXT(name, required, out) dep_record_text(json, DEP_STR(name), (required), (out))
#define NUMBER(name, out) dep_record_number(json, DEP_STR(name), (out))
#define FLAG(name, out) dep_record_flag(json, DEP_STR(name), (out))

#endif
