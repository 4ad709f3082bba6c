/* The proxies and the authorities of the configuration. */
#include "server/client_certificates.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"
#include "server/files.h"

#define CA_BYTES_MAX 262144u

/* The one text by which net/ names a peer with this address. */
static void put_proxy(const char *text, char ret_proxy[INET6_ADDRSTRLEN])
{
    static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
    unsigned char bytes[DEP_IP_BYTES_MAX];
    size_t len = dep_ip_parse(dep_str_c(text), bytes);

    if (len == 0)
        (void)snprintf(ret_proxy, INET6_ADDRSTRLEN, "unix");
    else if (len == 16 && memcmp(bytes, mapped, sizeof(mapped)) == 0)
        (void)inet_ntop(AF_INET, bytes + sizeof(mapped), ret_proxy, INET6_ADDRSTRLEN);
    else
        (void)inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, ret_proxy, INET6_ADDRSTRLEN);
}

static struct dep_res read_trust(const char *path, struct dep_trust **ret_trust, char message[DEP_CONFIG_MESSAGE_MAX])
{
    struct dep_res res = DEP_OK;
    char *text = NULL;
    size_t len = 0;

    DEP_TRY(dep_public_file_read("client_ca_file ", path, CA_BYTES_MAX, &text, &len, message));
    if (!dep_is_ok(dep_trust_new(dep_str(text, len), ret_trust))) {
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX,
                       "client_ca_file %.300s: it needs 1 to %u certificates of authorities in PEM (basicConstraints: "
                       "CA), and nothing in it may be broken",
                       path, DEP_TRUST_AUTHORITIES_MAX);
        res = DEP_FAIL(CONFIG_FILE);
    }
    free(text);
    return res;
}

struct dep_res dep_client_certificates_open(const struct dep_config *config,
                                            struct dep_client_certificates *ret_certificates,
                                            char message[DEP_CONFIG_MESSAGE_MAX])
{
    struct dep_client_certificates certificates = { 0 };

    if (config->client_ca_file != NULL)
        DEP_TRY(read_trust(config->client_ca_file, &certificates.trust, message));
    for (size_t i = 0; i < config->client_certificates_from_count; i++)
        put_proxy(config->client_certificates_from[i], certificates.proxies[certificates.proxies_count++]);
    *ret_certificates = certificates;
    return DEP_OK;
}

void dep_client_certificates_done(struct dep_client_certificates *certificates)
{
    dep_trust_free(certificates->trust);
    *certificates = (struct dep_client_certificates){ 0 };
}

bool dep_client_certificates_is_proxy(const struct dep_client_certificates *certificates, struct dep_str peer)
{
    for (size_t i = 0; i < certificates->proxies_count; i++)
        if (dep_str_eq_c(peer, certificates->proxies[i]))
            return true;
    return false;
}
