/* Faults: errors as prompts. What was wrong, whose fault, what to do next; for people on a terminal, one JSON object otherwise. */
#include <jansson.h>
#include <stdarg.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/out.h"

#define TEXT_MAX 4096

__attribute__((format(printf, 2, 0))) static const char *format_text(struct dep_arena *arena, const char *format,
                                                                     va_list arguments)
{
    char text[TEXT_MAX];
    int len = vsnprintf(text, sizeof(text), format, arguments);
    struct dep_str copy;
    char *memory;

    if (len < 0)
        return "";
    copy = dep_str(text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
    memory = dep_arena_alloc(arena, copy.len + 1);
    if (memory == NULL)
        return "";
    memcpy(memory, copy.ptr, copy.len);
    return memory;
}

const char *dep_cli_text(struct dep_cli *cli, const char *format, ...)
{
    const char *text;
    va_list arguments;

    va_start(arguments, format);
    text = format_text(&cli->arena, format, arguments);
    va_end(arguments);
    return text;
}

const char *dep_cli_cstr(struct dep_cli *cli, struct dep_str text)
{
    char *memory = dep_arena_alloc(&cli->arena, text.len + 1);

    if (memory == NULL)
        return "";
    if (text.len > 0)
        memcpy(memory, text.ptr, text.len);
    return memory;
}

int dep_cli_fail(struct dep_cli *cli, enum dep_exit exit, const char *error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    cli->fault = (struct dep_fault){ .exit = exit, .error = error, .doc_uri = "man:deputy-exit-codes(7)" };
    cli->fault.message = format_text(&cli->arena, format, arguments);
    va_end(arguments);
    return (int)exit;
}

void dep_cli_suggest(struct dep_cli *cli, const char *format, ...)
{
    struct dep_fault *fault = &cli->fault;
    va_list arguments;

    if (fault->suggestions_count == DEP_FAULT_SUGGESTIONS)
        return;
    va_start(arguments, format);
    fault->suggestions[fault->suggestions_count++] = format_text(&cli->arena, format, arguments);
    va_end(arguments);
}

int dep_cli_fail_res(struct dep_cli *cli, enum dep_exit exit, struct dep_res res, const char *what)
{
    int code = dep_cli_fail(cli, exit, dep_err_name(res.err), "%s: %s", what, dep_err_text(res.err));

    dep_cli_suggest(cli, "deputy explain %s", dep_err_name(res.err));
    return code;
}

static void render_for_programs(const struct dep_cli *cli)
{
    const struct dep_fault *fault = &cli->fault;
    json_t *suggestions = json_array();
    json_t *object = json_object();

    for (size_t i = 0; i < fault->suggestions_count; i++)
        json_array_append_new(suggestions, json_string(fault->suggestions[i]));
    json_object_set_new(object, "error", json_string(fault->error));
    json_object_set_new(object, "message", json_string(fault->message));
    json_object_set_new(object, "suggestions", suggestions);
    json_object_set_new(object, "doc_uri", json_string(fault->doc_uri));
    dep_out_json_line(cli->err, object);
    json_decref(object);
}

void dep_cli_render_fault(const struct dep_cli *cli)
{
    const struct dep_fault *fault = &cli->fault;

    if (fault->message == NULL)
        return;
    if (!cli->err_is_terminal) {
        render_for_programs(cli);
        return;
    }
    fputs("deputy: ", cli->err);
    dep_out_clean(cli->err, fault->message);
    fprintf(cli->err, " (%s)\n", fault->error);
    for (size_t i = 0; i < fault->suggestions_count; i++) {
        fputs("  try: ", cli->err);
        dep_out_clean(cli->err, fault->suggestions[i]);
        fputc('\n', cli->err);
    }
}
