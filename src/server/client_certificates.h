/* Whose word counts about certificates of TLS clients, and which authorities vouch for them (RFC 8705, RFC 9440). */
#ifndef DEP_SERVER_CLIENT_CERTIFICATES_H
#define DEP_SERVER_CLIENT_CERTIFICATES_H

#include <netinet/in.h>

#include "crypto/trust.h"
#include "server/config.h"

/* Read at start and at each reload; immutable. Zero: certificates are nobody's here. */
struct dep_client_certificates {
    char proxies[DEP_CLIENT_CERTIFICATES_FROM_MAX][INET6_ADDRSTRLEN]; /* as a connection names its peer; "unix" */
    size_t proxies_count;
    struct dep_trust *trust; /* NULL: no client_ca_file */
};

/* DEP_ERR_CONFIG_FILE with a message. */
DEP_MUST struct dep_res dep_client_certificates_open(const struct dep_config *config,
                                                     struct dep_client_certificates *ret_certificates,
                                                     char message[DEP_CONFIG_MESSAGE_MAX]);
void dep_client_certificates_done(struct dep_client_certificates *certificates);
/* Whether the peer of a connection is a proxy whose Client-Cert header counts. */
bool dep_client_certificates_is_proxy(const struct dep_client_certificates *certificates, struct dep_str peer);

#endif
