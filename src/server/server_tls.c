/* The daemon's own TLS: the files of its certificate and key. */
#include <stdio.h>
#include <stdlib.h>

#include "net/tls.h"
#include "server/files.h"
#include "server/server.h"

#define CERTIFICATE_BYTES_MAX 65536u
#define KEY_BYTES_MAX 16384u

struct dep_res dep_server_take_tls(struct dep_server *server, const struct dep_config *config,
                                   char message[DEP_CONFIG_MESSAGE_MAX])
{
    char *certificate = NULL, *key = NULL;
    size_t certificate_len = 0, key_len = 0;
    struct dep_res res;

    if (config->tls_certificate_file == NULL)
        return DEP_OK;
    DEP_TRY(dep_public_file_read("tls_certificate_file ", config->tls_certificate_file, CERTIFICATE_BYTES_MAX,
                                 &certificate, &certificate_len, message));
    res = dep_private_file_read(config->tls_key_file, KEY_BYTES_MAX, &key, &key_len, message);
    if (dep_is_ok(res)) {
        struct dep_str chain = dep_str(certificate, certificate_len);
        struct dep_secret secret = dep_secret(key, key_len);

        res = server->tls == NULL ? dep_net_tls_new(chain, secret, &server->tls)
                                  : dep_net_tls_replace(server->tls, chain, secret);
        if (!dep_is_ok(res))
            (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "tls_certificate_file %.150s and tls_key_file %.150s: %s",
                           config->tls_certificate_file, config->tls_key_file, dep_err_text(res.err));
        dep_wipe(key, key_len);
        free(key);
    }
    free(certificate);
    return res;
}
