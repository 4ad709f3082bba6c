/* Exchanges: from the first byte of a request to the end of its answer, as callbacks of libmicrohttpd.
 *
 * Invariants:
 *  (1) Responses are queued on the connection's own worker thread only. A reply from elsewhere leaves its response in
 *      the exchange and resumes the connection; the library then calls the handler again, which queues it.
 *  (2) `state` decides who wakes whom: dep_net_defer() suspends before it says DEFERRED, dep_net_reply() resumes only
 *      when it found DEFERRED. Whichever comes second acts, so no wake-up is lost and none comes twice.
 *  (3) An exchange is freed when the library says that the request has ended; an abandoned one also waits for its late
 *      reply. */
#include "net/exchange.h"

#include "net/layout.h"

#include <stdlib.h>
#include <string.h>

/* The start of a request */

/* The library's first word on a request, while the target is still as it was sent: everything is allocated here, at
 * once. */
void *dep_net_on_target(void *closure, const char *target, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    size_t len = strlen(target);
    struct dep_net_entry *entry = malloc(sizeof(*entry) + len + 1 + DEP_NET_BODY_INLINE);

    if (entry == NULL)
        return NULL;
    memset(entry, 0, offsetof(struct dep_net_entry, headers));
    entry->server = closure;
    entry->mhd = mhd;
    entry->connection = info != NULL ? info->socket_context : NULL;
    atomic_init(&entry->state, DEP_NET_OPEN);
    atomic_init(&entry->references, 1);
    entry->raw_target = target;
    entry->target_len = len;
    memcpy(entry->text, target, len + 1);
    dep_net_stage(entry->connection, DEP_NET_READS);
    return entry;
}

struct collecting {
    struct dep_net_entry *entry;
    struct dep_net_layout layout;
    bool is_broken;
};

static enum MHD_Result collect(void *closure, enum MHD_ValueKind kind, const char *name, size_t name_len,
                               const char *value, size_t value_len)
{
    struct collecting *collecting = closure;
    struct dep_net_entry *entry = collecting->entry;

    (void)kind;
    if (name == NULL || value == NULL ||
        !dep_net_layout_header(&collecting->layout, name, name_len, value, value_len)) {
        collecting->is_broken = true;
        return MHD_NO;
    }
    if (entry->headers_count > DEP_NET_HEADERS_MAX)
        return MHD_NO;
    entry->headers[entry->headers_count++] =
        (struct dep_header){ dep_str(name, name_len), dep_str_trim(dep_str(value, value_len)) };
    return MHD_YES;
}

static const struct dep_net_refusal broken_head = { 400, "the request head is malformed" };
static const struct dep_net_refusal no_memory = { 503, "out of memory" };

/* Request line and headers into the exchange; false when they are malformed. */
static bool take_head(struct dep_net_entry *entry, const char *method, const char *url, const char *version)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(entry->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    struct collecting collecting = { .entry = entry };

    if (url != entry->raw_target || info == NULL ||
        !dep_net_layout_line(&collecting.layout, entry->server->needs_layout, method, url, entry->target_len, version))
        return false;
    (void)MHD_get_connection_values_n(entry->mhd, MHD_HEADER_KIND, collect, &collecting);
    if (collecting.is_broken)
        return false;
    /* With too many headers the rest was not looked at; that is refused anyway. */
    return entry->headers_count > DEP_NET_HEADERS_MAX || dep_net_layout_end(&collecting.layout, info->header_size);
}

static struct dep_str shown_certificate(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);

    return info != NULL && info->tls_session != NULL ? dep_net_tls_peer(info->tls_session) : DEP_STR_ABSENT;
}

static void describe(struct dep_net_entry *entry)
{
    struct dep_net_exchange *exchange = &entry->exchange;
    struct dep_net_connection *connection = entry->connection;
    struct dep_str target = dep_str(entry->text, entry->target_len);
    size_t path_len = dep_str_find(target, '?');

    exchange->path = dep_str_sub(target, 0, path_len);
    exchange->query = path_len < target.len ? dep_str_sub(target, path_len + 1, target.len) : DEP_STR_ABSENT;
    exchange->headers = entry->headers;
    exchange->headers_count = entry->headers_count;
    exchange->peer = connection != NULL ? dep_str(connection->peer, connection->peer_len) : DEP_STR("");
    exchange->peer_uid = connection != NULL ? connection->uid : -1;
    exchange->peer_gid = connection != NULL ? connection->gid : -1;
    if (entry->server->config.asks_certificate)
        exchange->certificate = shown_certificate(entry->mhd);
}

static bool reserve_body(struct dep_net_entry *entry)
{
    entry->body = entry->text + entry->target_len + 1;
    if (entry->body_bytes <= DEP_NET_BODY_INLINE)
        return true;
    entry->body_heap = malloc(entry->body_bytes);
    entry->body = entry->body_heap;
    return entry->body != NULL;
}

/* The head with all its checks. NULL when the request may go on. */
static const struct dep_net_refusal *begin(struct dep_net_entry *entry, const char *method, const char *url,
                                           const char *version)
{
    const struct dep_net_refusal *refusal;

    entry->exchange.method = dep_str_c(method);
    refusal = dep_net_check_line(entry->exchange.method, dep_str(entry->text, entry->target_len), dep_str_c(version));
    if (refusal != NULL)
        return refusal;
    if (!take_head(entry, method, url, version))
        return &broken_head;
    refusal = dep_net_check_headers(entry->headers, entry->headers_count, entry->exchange.method, version[7] == '1',
                                    entry->server->config.body_bytes_max, &entry->body_bytes);
    if (refusal != NULL)
        return refusal;
    describe(entry);
    return reserve_body(entry) ? NULL : &no_memory;
}

/* One body for every path: what stands behind is not known yet. An OAuth client finds `error` (rfc6749#5.2), others the
 * members of rfc9457; the type is the one that both read. There is no decision id and no record: nobody understood a
 * request, so none was decided. */
static enum MHD_Result refuse(struct dep_net_entry *entry, const struct dep_net_refusal *refusal)
{
    static const struct dep_header headers[] = { { DEP_STR_INIT("Content-Type"), DEP_STR_INIT("application/json") },
                                                 { DEP_STR_INIT("Cache-Control"), DEP_STR_INIT("no-store") },
                                                 { DEP_STR_INIT("Retry-After"), DEP_STR_INIT("1") } }; /* with 503 */
    char text[384];
    struct dep_buf body;
    struct MHD_Response *response;

    dep_buf_init(&body, text, sizeof(text));
    dep_buf_put_c(&body,
                  refusal->status == 503 ? "{\"error\":\"temporarily_unavailable\"" : "{\"error\":\"invalid_request\"");
    dep_buf_put_c(&body, ",\"error_description\":\"");
    dep_buf_put_c(&body, refusal->detail);
    dep_buf_put_c(&body, "\",\"type\":\"about:blank\",\"title\":\"The request is not acceptable HTTP\",\"status\":");
    dep_buf_put_int(&body, refusal->status);
    dep_buf_put_c(&body, ",\"detail\":\"");
    dep_buf_put_c(&body, refusal->detail);
    dep_buf_put_c(&body, "\"}\n");
    response = dep_net_response(&(struct dep_net_answer){ .status = refusal->status,
                                                          .headers = headers,
                                                          .headers_count = refusal->status == 503 ? 3 : 2,
                                                          .body = dep_buf_str(&body),
                                                          .close = true });
    if (response == NULL)
        return MHD_NO;
    dep_net_stage(entry->connection, DEP_NET_SENDS);

    enum MHD_Result result = MHD_queue_response(entry->mhd, (unsigned)refusal->status, response);

    MHD_destroy_response(response);
    return result;
}

/* The handler and its answer */

static unsigned worker_index(struct dep_net_server *server)
{
    uintptr_t index = (uintptr_t)pthread_getspecific(server->worker_key);

    if (index == 0) {
        index = atomic_fetch_add(&server->workers_seen, 1) + 1u;
        (void)pthread_setspecific(server->worker_key, (void *)index); /* on failure the index is merely not stable */
    }
    return (unsigned)(index - 1) % server->config.workers;
}

static enum MHD_Result queue_answer(struct dep_net_entry *entry)
{
    dep_net_stage(entry->connection, DEP_NET_SENDS);
    if (atomic_load_explicit(&entry->state, memory_order_acquire) == DEP_NET_ABANDONED)
        return MHD_queue_response(entry->mhd, MHD_HTTP_SERVICE_UNAVAILABLE, entry->server->stopping);

    struct MHD_Response *response = entry->response;

    entry->response = NULL;
    if (response == NULL)
        return MHD_NO;
    if (!entry->is_closing && atomic_load_explicit(&entry->server->is_quiet, memory_order_relaxed))
        (void)MHD_add_response_header(response, "Connection", "close");

    enum MHD_Result result = MHD_queue_response(entry->mhd, (unsigned)entry->status, response);

    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result hand_over(struct dep_net_entry *entry)
{
    struct dep_net_server *server = entry->server;
    struct dep_net_exchange *exchange = &entry->exchange;

    if (atomic_load(&server->is_stopping))
        return MHD_queue_response(entry->mhd, MHD_HTTP_SERVICE_UNAVAILABLE, server->stopping);
    exchange->body = dep_str(entry->body, entry->body_bytes);
    exchange->worker = worker_index(server);
    entry->is_handed = true;
    atomic_fetch_add(&server->active, 1);
    dep_net_stage(entry->connection, DEP_NET_WORKS);
    server->config.handle(server->config.context, exchange);
    if (entry->is_deferred)
        return MHD_YES;
    DEP_ASSERT(atomic_load_explicit(&entry->state, memory_order_acquire) == DEP_NET_ANSWERED);
    return queue_answer(entry);
}

static void list_add(struct dep_net_entry *entry)
{
    struct dep_net_server *server = entry->server;

    pthread_mutex_lock(&server->lock);
    entry->next = server->deferred;
    if (entry->next != NULL)
        entry->next->previous = entry;
    server->deferred = entry;
    pthread_mutex_unlock(&server->lock);
}

static void list_remove(struct dep_net_entry *entry)
{
    struct dep_net_server *server = entry->server;

    pthread_mutex_lock(&server->lock);
    if (entry->previous != NULL)
        entry->previous->next = entry->next;
    else
        server->deferred = entry->next;
    if (entry->next != NULL)
        entry->next->previous = entry->previous;
    if (server->deferred == NULL && atomic_load(&server->is_stopping))
        pthread_cond_broadcast(&server->ended);
    pthread_mutex_unlock(&server->lock);
    entry->is_deferred = false;
}

enum MHD_Result dep_net_on_request(void *closure, struct MHD_Connection *mhd, const char *url, const char *method,
                                   const char *version, const char *upload, size_t *upload_len, void **request_context)
{
    struct dep_net_entry *entry = *request_context;

    (void)closure;
    (void)mhd;
    if (entry == NULL)
        return MHD_NO;
    if (!entry->is_begun) {
        const struct dep_net_refusal *refusal = begin(entry, method, url, version);

        entry->is_begun = true;
        return refusal != NULL ? refuse(entry, refusal) : MHD_YES;
    }
    if (entry->is_deferred) {
        list_remove(entry);
        return queue_answer(entry);
    }
    if (*upload_len > 0) {
        if (*upload_len > entry->body_bytes - entry->body_read)
            return MHD_NO;
        memcpy(entry->body + entry->body_read, upload, *upload_len);
        entry->body_read += *upload_len;
        *upload_len = 0;
        return MHD_YES;
    }
    if (entry->is_handed || entry->body_read != entry->body_bytes)
        return MHD_NO;
    return hand_over(entry);
}

static void release(struct dep_net_entry *entry)
{
    if (atomic_fetch_sub(&entry->references, 1) != 1)
        return;
    if (entry->exchange.user_free != NULL)
        entry->exchange.user_free(entry->exchange.user);
    if (entry->response != NULL)
        MHD_destroy_response(entry->response);
    free(entry->body_heap);
    free(entry);
}

void dep_net_on_completed(void *closure, struct MHD_Connection *mhd, void **request_context,
                          enum MHD_RequestTerminationCode code)
{
    struct dep_net_server *server = closure;
    struct dep_net_entry *entry = *request_context;

    (void)mhd;
    (void)code;
    if (entry == NULL)
        return;
    *request_context = NULL;
    dep_net_stage(entry->connection, DEP_NET_WAITS);
    if (entry->is_deferred)
        list_remove(entry);

    bool was_handed = entry->is_handed;

    release(entry);
    if (was_handed && atomic_fetch_sub(&server->active, 1) == 1 && atomic_load(&server->is_stopping)) {
        pthread_mutex_lock(&server->lock);
        pthread_cond_broadcast(&server->ended);
        pthread_mutex_unlock(&server->lock);
    }
}

/* Replies */

/* The library wants C strings, and refuses line ends in them. */
static bool add_header(struct MHD_Response *response, const struct dep_header *header)
{
    char small[512];
    size_t size = header->name.len + header->value.len + 2;
    char *name = size <= sizeof(small) ? small : malloc(size);

    if (name == NULL)
        return false;

    char *value = name + header->name.len + 1;

    memcpy(name, header->name.ptr, header->name.len);
    name[header->name.len] = '\0';
    if (header->value.len > 0)
        memcpy(value, header->value.ptr, header->value.len);
    value[header->value.len] = '\0';

    bool is_added = MHD_add_response_header(response, name, value) == MHD_YES;

    if (name != small)
        free(name);
    return is_added;
}

struct MHD_Response *dep_net_response(const struct dep_net_answer *answer)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer->body.len, (void *)(uintptr_t)answer->body.ptr, MHD_RESPMEM_MUST_COPY);

    if (response == NULL)
        return NULL;
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    for (size_t i = 0; i < answer->headers_count; i++)
        (void)add_header(response, &answer->headers[i]);
    if (answer->close)
        (void)MHD_add_response_header(response, "Connection", "close");
    return response;
}

void dep_net_reply(struct dep_net_exchange *exchange, const struct dep_net_answer *answer)
{
    struct dep_net_entry *entry = (struct dep_net_entry *)(void *)exchange;
    struct MHD_Connection *mhd = entry->mhd;

    /* Nothing of the server is touched here: an abandoned exchange outlives it. */
    DEP_ASSERT(entry->response == NULL);
    entry->response = dep_net_response(answer);
    entry->status = answer->status;
    entry->is_closing = answer->close;

    int state = atomic_load_explicit(&entry->state, memory_order_acquire);

    while (state != DEP_NET_ABANDONED &&
           !atomic_compare_exchange_weak_explicit(&entry->state, &state, DEP_NET_ANSWERED, memory_order_acq_rel,
                                                  memory_order_acquire))
        DEP_ASSERT(state != DEP_NET_ANSWERED);
    if (state == DEP_NET_DEFERRED)
        MHD_resume_connection(mhd);
    else if (state == DEP_NET_ABANDONED)
        release(entry);
}

void dep_net_defer(struct dep_net_exchange *exchange)
{
    struct dep_net_entry *entry = (struct dep_net_entry *)(void *)exchange;
    int state = DEP_NET_OPEN;

    if (entry->is_deferred)
        return;
    entry->is_deferred = true;
    list_add(entry);
    MHD_suspend_connection(entry->mhd);
    if (!atomic_compare_exchange_strong_explicit(&entry->state, &state, DEP_NET_DEFERRED, memory_order_acq_rel,
                                                 memory_order_acquire))
        MHD_resume_connection(entry->mhd); /* the reply was faster */
}

void dep_net_abandon_all(struct dep_net_server *server)
{
    for (struct dep_net_entry *entry = server->deferred; entry != NULL; entry = entry->next) {
        int state = DEP_NET_DEFERRED;

        atomic_fetch_add(&entry->references, 1);
        if (atomic_compare_exchange_strong(&entry->state, &state, DEP_NET_ABANDONED))
            MHD_resume_connection(entry->mhd);
        else
            atomic_fetch_sub(&entry->references, 1); /* answered: it leaves the list on its worker */
    }
}
