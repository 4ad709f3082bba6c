/* The logs of a resource: one writer each, in numbered folders. */
#ifndef DEP_NGINX_SLOT_H
#define DEP_NGINX_SLOT_H

#include "module.h"

/* Takes the first log that no process has, into guard->directory. While workers of an older configuration drain, theirs are
 * taken. False: none can be had; errno says why. */
bool dep_nginx_slot_take(struct dep_nginx_guard *guard);
void dep_nginx_slot_give_back(struct dep_nginx_guard *guard);
/* When any of the logs was last written, by the clock of that moment; 0: never. */
int64_t dep_nginx_slot_newest(const struct dep_nginx_guard *guard);

#endif
