/* nginx ends the TLS connection in this very process: what OpenSSL says of it needs no header, and nobody can write it. */
#include "certificate.h"

#if (NGX_HTTP_SSL)

static ngx_int_t encode(ngx_pool_t *pool, X509 *certificate, struct dep_str *ret_der)
{
    int len = i2d_X509(certificate, NULL);
    u_char *der = len > 0 ? ngx_pnalloc(pool, (size_t)len) : NULL, *at = der;

    if (der == NULL || i2d_X509(certificate, &at) != len)
        return NGX_ERROR;
    *ret_der = dep_str((const char *)der, (size_t)len);
    return NGX_OK;
}

ngx_int_t dep_nginx_certificate(ngx_http_request_t *request, struct dep_str *ret_der)
{
    const ngx_ssl_connection_t *tls = request->connection->ssl;
    X509 *certificate = tls == NULL ? NULL : SSL_get_peer_certificate(tls->connection);
    ngx_int_t rc = NGX_OK;

    *ret_der = DEP_STR_ABSENT;
    if (certificate == NULL)
        return NGX_OK;
    rc = encode(request->pool, certificate, ret_der);
    X509_free(certificate);
    return rc;
}

#else

ngx_int_t dep_nginx_certificate(ngx_http_request_t *request, struct dep_str *ret_der)
{
    (void)request;
    *ret_der = DEP_STR_ABSENT;
    return NGX_OK;
}

#endif
