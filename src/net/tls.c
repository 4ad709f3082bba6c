/* Certificates of the server. A handshake may still use what was replaced meanwhile, so an old pair is freed when no handshake that
 * knew it can be under way any more: they are bounded by the server's deadlines. */
#include "net/tls_session.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define CHAIN_MAX 16u
#define KEEP_S 300 /* several times the deadline of a handshake */

struct pair {
    struct pair *next; /* the one before it */
    int64_t replaced_s;
    gnutls_pcert_st certificates[CHAIN_MAX];
    unsigned count;
    gnutls_privkey_t key;
};

struct dep_net_tls {
    pthread_mutex_t lock; /* `pair` */
    struct pair *pair;    /* the one of the moment, older ones behind it */
};

static int64_t now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec;
}

static void pair_free(struct pair *pair)
{
    if (pair == NULL)
        return;
    for (unsigned i = 0; i < pair->count; i++)
        gnutls_pcert_deinit(&pair->certificates[i]);
    if (pair->key != NULL)
        gnutls_privkey_deinit(pair->key);
    free(pair);
}

/* The library's own loader compares the key with the certificate. */
static bool belong_together(const gnutls_datum_t *certificates, const gnutls_datum_t *key)
{
    gnutls_certificate_credentials_t credentials = NULL;
    bool is_good = gnutls_certificate_allocate_credentials(&credentials) == 0 &&
                   gnutls_certificate_set_x509_key_mem(credentials, certificates, key, GNUTLS_X509_FMT_PEM) >= 0;

    if (credentials != NULL)
        gnutls_certificate_free_credentials(credentials);
    return is_good;
}

static struct dep_res pair_new(struct dep_str certificates, struct dep_secret key, struct pair **ret_pair)
{
    const gnutls_datum_t chain = { (unsigned char *)(uintptr_t)certificates.ptr, (unsigned)certificates.len };
    const gnutls_datum_t secret = { (unsigned char *)(uintptr_t)key.bytes, (unsigned)key.len };
    struct pair *pair = calloc(1, sizeof(*pair));
    unsigned count = CHAIN_MAX;
    bool is_good = pair != NULL && certificates.len > 0 && certificates.len < INT_MAX && key.len > 0 &&
                   key.len < INT_MAX && belong_together(&chain, &secret);

    if (is_good && gnutls_pcert_list_import_x509_raw(pair->certificates, &count, &chain, GNUTLS_X509_FMT_PEM, 0) == 0)
        pair->count = count;
    if (!is_good || pair->count == 0 || gnutls_privkey_init(&pair->key) != 0 ||
        gnutls_privkey_import_x509_raw(pair->key, &secret, GNUTLS_X509_FMT_PEM, NULL, 0) != 0) {
        pair_free(pair);
        return DEP_FAIL(NET_TLS);
    }
    *ret_pair = pair;
    return DEP_OK;
}

struct dep_res dep_net_tls_new(struct dep_str certificates, struct dep_secret key, struct dep_net_tls **ret_tls)
{
    struct dep_net_tls *tls = calloc(1, sizeof(*tls));

    if (tls == NULL)
        return DEP_FAIL(NET_TLS);
    (void)pthread_mutex_init(&tls->lock, NULL);
    if (!dep_is_ok(pair_new(certificates, key, &tls->pair))) {
        dep_net_tls_free(tls);
        return DEP_FAIL(NET_TLS);
    }
    *ret_tls = tls;
    return DEP_OK;
}

/* Old pairs that nobody can be using. */
static void sweep(struct pair *from)
{
    int64_t before = now_s() - KEEP_S;

    while (from->next != NULL)
        if (from->next->replaced_s < before) {
            struct pair *old = from->next;

            from->next = old->next;
            pair_free(old);
        } else {
            from = from->next;
        }
}

struct dep_res dep_net_tls_replace(struct dep_net_tls *tls, struct dep_str certificates, struct dep_secret key)
{
    struct pair *pair = NULL;

    DEP_TRY(pair_new(certificates, key, &pair));
    pthread_mutex_lock(&tls->lock);
    tls->pair->replaced_s = now_s();
    pair->next = tls->pair;
    tls->pair = pair;
    sweep(pair);
    pthread_mutex_unlock(&tls->lock);
    return DEP_OK;
}

void dep_net_tls_free(struct dep_net_tls *tls)
{
    if (tls == NULL)
        return;
    while (tls->pair != NULL) {
        struct pair *old = tls->pair;

        tls->pair = old->next;
        pair_free(old);
    }
    (void)pthread_mutex_destroy(&tls->lock);
    free(tls);
}

void dep_net_tls_begin(struct dep_net_tls *tls, gnutls_session_t session, bool asks_certificate)
{
    gnutls_session_set_ptr(session, tls);
    gnutls_certificate_server_set_request(session, asks_certificate ? GNUTLS_CERT_REQUEST : GNUTLS_CERT_IGNORE);
}

int dep_net_tls_retrieve(gnutls_session_t session, const gnutls_datum_t *authorities, int authorities_count,
                         const gnutls_pk_algorithm_t *algorithms, int algorithms_count,
                         gnutls_pcert_st **ret_certificates, unsigned *ret_count, gnutls_privkey_t *ret_key)
{
    struct dep_net_tls *tls = gnutls_session_get_ptr(session);
    struct pair *pair;

    (void)authorities;
    (void)authorities_count;
    (void)algorithms;
    (void)algorithms_count;
    pthread_mutex_lock(&tls->lock);
    pair = tls->pair;
    pthread_mutex_unlock(&tls->lock);
    *ret_certificates = pair->certificates;
    *ret_count = pair->count;
    *ret_key = pair->key;
    return 0;
}

struct dep_str dep_net_tls_peer(gnutls_session_t session)
{
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);

    return chain == NULL || count == 0 ? DEP_STR_ABSENT : dep_str((const char *)chain[0].data, chain[0].size);
}
