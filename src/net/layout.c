/* The true form of a request head (rfc9112#2.1, rfc9112#5). Reads only bytes between two places that the library named,
 * or up to the first that is no blank; its buffer has more than that behind each. */
#include "net/layout.h"

#include <microhttpd.h>
#include <string.h>

bool dep_net_layout_is_needed(void)
{
    return strncmp(MHD_get_version(), "0.", 2) == 0;
}

bool dep_net_layout_line(struct dep_net_layout *layout, bool is_checked, const char *method, const char *target,
                         size_t target_len, const char *version)
{
    size_t version_len = strlen(version);

    *layout = (struct dep_net_layout){ is_checked, method, version + version_len + 2 };
    if (!is_checked)
        return true;
    return target == method + strlen(method) + 1 && version == target + target_len + 1 &&
           version[version_len + 1] == '\0';
}

bool dep_net_layout_header(struct dep_net_layout *layout, const char *name, size_t name_len, const char *value,
                           size_t value_len)
{
    if (!layout->is_checked)
        return true;
    if (name != layout->at || name[name_len] != '\0')
        return false;

    const char *p = name + name_len + 1;

    while (*p == ' ' || *p == '\t')
        p++;
    if (p != value || value[value_len] != '\0' || value[value_len + 1] != '\0')
        return false;
    layout->at = value + value_len + 2;
    return true;
}

bool dep_net_layout_end(const struct dep_net_layout *layout, size_t head_len)
{
    if (!layout->is_checked)
        return true;
    return layout->at[0] == '\0' && layout->at[1] == '\0' && head_len == (size_t)(layout->at + 2 - layout->method);
}
