/* Tables, JSON and JSON lines. */
#include "cli/out.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

#define CELL_MAX 512
#define COLUMNS_MAX 12

/* C1 controls, direction marks and other invisible characters could make a line on a terminal lie. */
static bool is_hidden(unsigned code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

/* One character of UTF-8: its length, 0 when the bytes are none. */
static size_t decode(struct dep_str text, unsigned *ret_code)
{
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    size_t len = bytes[0] < 0x80 ? 1 : bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
    unsigned code = len == 1 ? bytes[0] : bytes[0] & (0xffu >> (len + 1));

    if (len > text.len || !dep_str_is_utf8(dep_str_sub(text, 0, len)))
        return 0;
    for (size_t i = 1; i < len; i++)
        code = code << 6 | (bytes[i] & 0x3fu);
    *ret_code = code;
    return len;
}

/* Writes clean text; the number of characters that were written. */
static size_t put_clean(FILE *file, struct dep_str text)
{
    size_t width = 0;

    while (text.len > 0) {
        unsigned code = 0;
        size_t len = decode(text, &code);

        if (len == 0 || is_hidden(code)) {
            unsigned shown = len == 0 ? (unsigned char)text.ptr[0] : code;

            width += (size_t)(len == 0 ? fprintf(file, "\\x%02x", shown) : fprintf(file, "\\u%04x", shown));
            len = len == 0 ? 1 : len;
        } else {
            fwrite(text.ptr, 1, len, file);
            width++;
        }
        text = dep_str_sub(text, len, text.len);
    }
    return width;
}

void dep_out_clean(FILE *file, const char *text)
{
    put_clean(file, dep_str_c(text));
}

void dep_out_json_line(FILE *file, const json_t *value)
{
    json_dumpf(value, file, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    fputc('\n', file);
}

static void put_json(const struct dep_cli *cli, const json_t *value)
{
    json_dumpf(value, cli->out, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    fputc('\n', cli->out);
}

void dep_out_time(int64_t time, char *text)
{
    time_t seconds = (time_t)time;
    struct tm parts;

    if (gmtime_r(&seconds, &parts) == NULL || strftime(text, 32, "%Y-%m-%d %H:%M:%SZ", &parts) == 0)
        snprintf(text, 32, "%lld", (long long)time);
}

static bool is_time(const char *name)
{
    static const char *const names[] = { "created", "retired", "expires", "before", "ts", "iat", "nbf", "exp" };

    for (size_t i = 0; i < DEP_CLI_COUNT(names); i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

/* A value as one line of text, clipped to the cell. */
static void put_cell(char *cell, size_t max, const char *name, const json_t *value)
{
    size_t used = strlen(cell);
    const json_t *item;
    size_t i;

    if (json_is_string(value)) {
        snprintf(cell + used, max - used, "%s", json_string_value(value));
    } else if (json_is_integer(value) && is_time(name) && json_integer_value(value) > 0) {
        char text[32];

        dep_out_time(json_integer_value(value), text);
        snprintf(cell + used, max - used, "%s", text);
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, item)
        {
            if (i > 0)
                snprintf(cell + strlen(cell), max - strlen(cell), "%s", json_is_object(item) ? "; " : " ");
            put_cell(cell, max, name, item);
        }
    } else if (json_is_object(value) && json_object_get(value, "resource") != NULL) {
        put_cell(cell, max, name, json_object_get(value, "resource"));
        snprintf(cell + strlen(cell), max - strlen(cell), " ");
        put_cell(cell, max, name, json_object_get(value, "scopes"));
    } else if (value != NULL && !json_is_null(value)) {
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

        snprintf(cell + used, max - used, "%s", text != NULL ? text : "");
        free(text);
    }
}

/* How wide the cell is on the terminal, and the cell itself when `file` is there. */
static size_t show_cell(FILE *file, const json_t *item, const char *member, FILE *nowhere)
{
    char cell[CELL_MAX] = "";

    put_cell(cell, sizeof(cell), member, json_object_get(item, member));
    if (cell[0] == '\0')
        snprintf(cell, sizeof(cell), "-");
    return put_clean(file != NULL ? file : nowhere, dep_str_c(cell));
}

static void put_table(const struct dep_cli *cli, json_t *items, const struct dep_column_spec *columns, size_t count)
{
    size_t width[COLUMNS_MAX] = { 0 };
    FILE *nowhere = fopen("/dev/null", "w");
    const json_t *item;
    size_t row;

    if (nowhere == NULL)
        return;
    for (size_t c = 0; c < count; c++) {
        width[c] = strlen(columns[c].title);
        json_array_foreach(items, row, item)
        {
            size_t wide = show_cell(NULL, item, columns[c].member, nowhere);

            width[c] = wide > width[c] ? wide : width[c];
        }
    }
    fclose(nowhere);
    for (size_t c = 0; c < count; c++)
        fprintf(cli->out, "%-*s%s", c + 1 < count ? (int)width[c] : 0, columns[c].title, c + 1 < count ? "  " : "\n");
    json_array_foreach(items, row, item)
    {
        for (size_t c = 0; c < count; c++) {
            size_t wide = show_cell(cli->out, item, columns[c].member, NULL);

            fprintf(cli->out, "%*s", c + 1 < count ? (int)(width[c] - wide + 2) : 0, "");
        }
        fputc('\n', cli->out);
    }
}

void dep_out_list(const struct dep_cli *cli, json_t *items, const struct dep_column_spec *columns, size_t count)
{
    const json_t *item;
    size_t i;

    DEP_ASSERT(count <= COLUMNS_MAX);
    switch (cli->format) {
    case DEP_FORMAT_TABLE:
        put_table(cli, items, columns, count);
        break;
    case DEP_FORMAT_NDJSON:
        json_array_foreach(items, i, item)
        {
            dep_out_json_line(cli->out, item);
        }
        break;
    case DEP_FORMAT_JSON: {
        json_t *object = json_object();

        json_object_set(object, "items", items);
        put_json(cli, object);
        json_decref(object);
        break;
    }
    }
}

void dep_out_object(const struct dep_cli *cli, json_t *object)
{
    size_t width = 0;
    const char *name;
    json_t *value;

    if (cli->format == DEP_FORMAT_NDJSON) {
        dep_out_json_line(cli->out, object);
        return;
    }
    if (cli->format == DEP_FORMAT_JSON) {
        put_json(cli, object);
        return;
    }
    json_object_foreach(object, name, value)
    {
        width = strlen(name) > width ? strlen(name) : width;
    }
    json_object_foreach(object, name, value)
    {
        char cell[8 * CELL_MAX] = "";

        put_cell(cell, sizeof(cell), name, value);
        fprintf(cli->out, "%-*s  ", (int)width, name);
        dep_out_clean(cli->out, cell);
        fputc('\n', cli->out);
    }
}
