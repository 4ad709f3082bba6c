/* Outgoing HTTP over libcurl.
 *
 * Invariants:
 *  (1) The address rules are applied to the address of the socket itself, once when it is opened and again before each
 *      request on it (a kept connection); so no name, number format, redirect or second resolution leads around them.
 *  (2) Plain http is spoken to loopback and, where allowed, to private addresses; never to a public one.
 *  (3) No byte beyond the caps is kept; the transfer ends there. Trailers are never merged into the headers. */
#include "net/fetch.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/url.h"
#include "net/address.h"

#define HEAD_BYTES_MAX 65536u
#define HEADERS_MAX 128u
#define KEPT_CONNECTIONS_MAX 16L

struct dep_fetcher {
    CURL *spare; /* of the last transfer, for the next */
    CURLM *multi;
    int stop_fd;
};

struct bytes {
    char *ptr;
    size_t len;
    size_t capacity;
    size_t max;
};

struct dep_fetch_transfer {
    struct dep_fetcher *fetcher;
    CURL *easy;
    struct curl_slist *headers;
    CURLcode code;
    bool has_ended;
    bool may_loopback, may_private;
    bool is_plain_http;
    bool is_unix;
    bool is_address_refused;
    bool has_length, is_too_large;
    struct bytes head; /* "name\0value\0" for each header */
    struct bytes body;
    unsigned headers_count; /* of the answer */
};

static bool append(struct bytes *bytes, const char *data, size_t len)
{
    if (len > bytes->max - bytes->len)
        return false;
    if (bytes->len + len > bytes->capacity) {
        size_t capacity = bytes->capacity == 0 ? 4096 : bytes->capacity * 2;

        while (capacity < bytes->len + len)
            capacity *= 2;

        char *ptr = realloc(bytes->ptr, capacity);

        if (ptr == NULL)
            return false;
        bytes->ptr = ptr;
        bytes->capacity = capacity;
    }
    if (len > 0)
        memcpy(bytes->ptr + bytes->len, data, len);
    bytes->len += len;
    return true;
}

/* Address rules */

static bool may_connect(struct dep_fetch_transfer *run, const struct sockaddr *address)
{
    bool may = false;

    if (run->is_unix)
        return address->sa_family == AF_UNIX;
    switch (dep_net_reach(address)) {
    case DEP_NET_PUBLIC:
        may = !run->is_plain_http;
        break;
    case DEP_NET_LOOPBACK:
        may = run->may_loopback;
        break;
    case DEP_NET_SPECIAL:
        may = run->may_private && address->sa_family != AF_UNIX;
        break;
    }
    if (!may)
        run->is_address_refused = true;
    return may;
}

static curl_socket_t open_socket(void *closure, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct dep_fetch_transfer *run = closure;

    if (purpose != CURLSOCKTYPE_IPCXN || !may_connect(run, &address->addr))
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int before_request(void *closure, char *primary_ip, char *local_ip, int primary_port, int local_port)
{
    struct dep_fetch_transfer *run = closure;
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    struct sockaddr_storage address = { 0 };

    (void)local_ip;
    (void)primary_port;
    (void)local_port;
    if (run->is_unix)
        return CURL_PREREQFUNC_OK; /* its connections are never shared with TCP ones */
    if (inet_pton(AF_INET, primary_ip, &v4.sin_addr) == 1)
        memcpy(&address, &v4, sizeof(v4));
    else if (inet_pton(AF_INET6, primary_ip, &v6.sin6_addr) == 1)
        memcpy(&address, &v6, sizeof(v6));
    return may_connect(run, (const struct sockaddr *)&address) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* Receiving */

static size_t take_body(char *data, size_t size, size_t count, void *closure)
{
    struct dep_fetch_transfer *run = closure;

    (void)size; /* always 1 */
    if (!append(&run->body, data, count)) {
        run->is_too_large = true;
        return 0;
    }
    return count;
}

static size_t take_header(char *data, size_t size, size_t count, void *closure)
{
    struct dep_fetch_transfer *run = closure;
    struct dep_str line = dep_str_trim(dep_str(data, count));

    (void)size;
    while (line.len > 0 && (line.ptr[line.len - 1] == '\r' || line.ptr[line.len - 1] == '\n'))
        line.len--;
    if (dep_str_starts(line, DEP_STR("HTTP/"))) { /* another answer, after 100 Continue */
        run->head.len = 0;
        run->headers_count = 0;
        run->has_length = false;
        return count;
    }

    size_t colon = dep_str_find(line, ':');

    /* Folded lines, and trailers behind the body, are passed over. */
    if (line.len == 0 || data[0] == ' ' || data[0] == '\t' || colon == line.len || run->body.len > 0)
        return count;

    struct dep_str name = dep_str_sub(line, 0, colon);
    struct dep_str value = dep_str_trim(dep_str_sub(line, colon + 1, line.len));

    /* Two lengths: where the body ends is anybody's guess (rfc9112#6.3). */
    if (dep_str_eq_nocase(name, DEP_STR("Content-Length"))) {
        if (run->has_length)
            return 0;
        run->has_length = true;
    }
    if (dep_str_has(line, '\0') || run->headers_count >= HEADERS_MAX || !append(&run->head, name.ptr, name.len) ||
        !append(&run->head, "", 1) || !append(&run->head, value.ptr, value.len) || !append(&run->head, "", 1)) {
        run->is_too_large = true;
        return 0;
    }
    run->headers_count++;
    return count;
}

/* Asking */

static char *copy_c(struct dep_str text)
{
    char *copy = dep_str_has(text, '\0') ? NULL : malloc(text.len + 1);

    if (copy != NULL) {
        if (text.len > 0)
            memcpy(copy, text.ptr, text.len);
        copy[text.len] = '\0';
    }
    return copy;
}

static bool has_line_end(struct dep_str s)
{
    return dep_str_has(s, '\r') || dep_str_has(s, '\n') || dep_str_has(s, '\0');
}

/* "Name: value", or "Name;" for an empty value, as libcurl wants it. */
static bool add_header(struct curl_slist **list, const struct dep_header *header)
{
    size_t len = header->name.len + header->value.len + 3;
    char *line;

    if (header->name.len == 0 || has_line_end(header->name) || has_line_end(header->value))
        return false;
    line = malloc(len);
    if (line == NULL)
        return false;
    memcpy(line, header->name.ptr, header->name.len);
    if (header->value.len > 0) {
        memcpy(line + header->name.len, ": ", 2);
        memcpy(line + header->name.len + 2, header->value.ptr, header->value.len);
        line[len - 1] = '\0';
    } else {
        memcpy(line + header->name.len, ";", 2);
    }

    struct curl_slist *longer = curl_slist_append(*list, line);

    free(line);
    if (longer != NULL)
        *list = longer;
    return longer != NULL;
}

static struct curl_slist *make_headers(const struct dep_fetch_request *request)
{
    /* No waiting for 100 Continue, and no Content-Type that libcurl would make up. */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    bool has_type = dep_header_count(request->headers, request->headers_count, DEP_STR("Content-Type")) > 0;

    if (list != NULL && !has_type) {
        struct curl_slist *longer = curl_slist_append(list, "Content-Type:");

        if (longer != NULL)
            list = longer;
    }
    for (size_t i = 0; i < request->headers_count && list != NULL; i++)
        if (!add_header(&list, &request->headers[i])) {
            curl_slist_free_all(list);
            list = NULL;
        }
    return list;
}

static void set_limits(struct dep_fetch_transfer *run, const struct dep_fetch_policy *policy)
{
    long timeout_ms = policy->timeout_ms > 0 ? (long)policy->timeout_ms : 1;
    CURL *easy = run->easy;

    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, run->is_plain_http ? "http" : "https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, run->is_plain_http ? (long)CURLPROTO_HTTP : (long)CURLPROTO_HTTPS);
#endif
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms < 10000 ? timeout_ms : 10000L);
    curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (policy->ca_file != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, policy->ca_file);
#if LIBCURL_VERSION_NUM >= 0x075700
    /* A name that is still being looked up when its time is over is left to its thread: the others do not wait for it. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, run);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, run);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, run);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, run);
}

/* From memory, so that no file has to hold the key. */
static void set_certificate(CURL *easy, const struct dep_fetch_request *request)
{
    struct curl_blob certificate = { (void *)(uintptr_t)request->certificate.ptr, request->certificate.len,
                                     CURL_BLOB_NOCOPY };
    struct curl_blob key = { (void *)(uintptr_t)request->certificate_key.bytes, request->certificate_key.len,
                             CURL_BLOB_NOCOPY };

    if (dep_str_is_absent(request->certificate))
        return;
    curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &certificate);
    curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
}

static void set_request(struct dep_fetch_transfer *run, const struct dep_fetch_request *request, const char *method,
                        const char *url, const char *unix_socket)
{
    CURL *easy = run->easy;

    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "deputy");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, run->headers);
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, unix_socket);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, run);
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (!dep_str_is_absent(request->body)) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.len > 0 ? request->body.ptr : "");
    } else if (strcmp(method, "POST") == 0) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, 0L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    set_certificate(easy, request);
}

/* One block: the header array, the header bytes, the body. */
static struct dep_res finish(struct dep_fetch_transfer *run, struct dep_fetch_answer *ret_answer)
{
    size_t array = run->headers_count * sizeof(struct dep_header);
    char *memory = malloc(array + run->head.len + run->body.len + 1);
    struct dep_fetch_answer answer = { .memory = memory, .headers_count = run->headers_count };
    long status = 0;

    if (memory == NULL)
        return DEP_FAIL(NET_FETCH);
    answer.headers = (struct dep_header *)(void *)memory;

    char *text = memory + array;

    if (run->head.len > 0)
        memcpy(text, run->head.ptr, run->head.len);
    for (size_t i = 0; i < run->headers_count; i++) {
        answer.headers[i].name = dep_str_c(text);
        text += answer.headers[i].name.len + 1;
        answer.headers[i].value = dep_str_c(text);
        text += answer.headers[i].value.len + 1;
    }
    if (run->body.len > 0)
        memcpy(text, run->body.ptr, run->body.len);
    text[run->body.len] = '\0';
    answer.body = dep_str(text, run->body.len);
    (void)curl_easy_getinfo(run->easy, CURLINFO_RESPONSE_CODE, &status);
    answer.status = (int)status;
    *ret_answer = answer;
    return DEP_OK;
}

/* What the URL itself must be: https, or http where the policy allows; nobody's password in it, and no colon without a port (F01). */
static struct dep_res check_url(const struct dep_fetch_policy *policy, const struct dep_fetch_request *request,
                                struct dep_fetch_transfer *run)
{
    struct dep_url url;

    run->is_unix = !dep_str_is_absent(request->unix_socket);
    if (!dep_is_ok(dep_url_parse(request->url, &url)) || !dep_str_is_absent(url.userinfo) ||
        dep_str_is_blank(url.host) || (!dep_str_is_absent(url.port) && url.port.len == 0))
        return DEP_FAIL(NET_FETCH_ADDRESS);
    run->is_plain_http = dep_str_eq_nocase(url.scheme, DEP_STR("http"));
    if (!run->is_plain_http && !dep_str_eq_nocase(url.scheme, DEP_STR("https")))
        return DEP_FAIL(NET_FETCH_ADDRESS);
    if (run->is_plain_http && !run->is_unix && !policy->may_loopback && !policy->may_private)
        return DEP_FAIL(NET_FETCH_ADDRESS);
    return DEP_OK;
}

/* The copies of what is asked for; libcurl makes its own of all but headers and body. */
static bool set_up(struct dep_fetch_transfer *run, const struct dep_fetch_policy *policy,
                   const struct dep_fetch_request *request)
{
    char *url = copy_c(request->url);
    char *method = copy_c(dep_str_is_blank(request->method) ? DEP_STR("GET") : request->method);
    char *unix_socket = run->is_unix ? copy_c(request->unix_socket) : NULL;
    bool is_set = false;

    run->headers = make_headers(request);
    if (url != NULL && method != NULL && run->headers != NULL && (!run->is_unix || unix_socket != NULL)) {
        set_limits(run, policy);
        set_request(run, request, method, url, unix_socket);
        is_set = true;
    }
    free(unix_socket);
    free(method);
    free(url);
    return is_set;
}

struct dep_fetcher *dep_fetcher_new(int stop_fd)
{
    struct dep_fetcher *fetcher = calloc(1, sizeof(*fetcher));

    if (fetcher == NULL)
        return NULL;
    fetcher->stop_fd = stop_fd;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) { /* counted, and safe from any thread since 7.84 */
        fetcher->spare = curl_easy_init();
        fetcher->multi = curl_multi_init();
    }
    if (fetcher->spare == NULL || fetcher->multi == NULL) {
        dep_fetcher_free(fetcher);
        return NULL;
    }
    (void)curl_multi_setopt(fetcher->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS_MAX);
    return fetcher;
}

void dep_fetcher_free(struct dep_fetcher *fetcher)
{
    if (fetcher == NULL)
        return;
    curl_easy_cleanup(fetcher->spare);
    (void)curl_multi_cleanup(fetcher->multi);
    free(fetcher);
}

static void give_back(struct dep_fetch_transfer *run)
{
    struct dep_fetcher *fetcher = run->fetcher;

    if (run->easy != NULL)
        (void)curl_multi_remove_handle(fetcher->multi, run->easy);
    if (run->easy != NULL && fetcher->spare == NULL) {
        curl_easy_reset(run->easy);
        fetcher->spare = run->easy;
    } else {
        curl_easy_cleanup(run->easy);
    }
    curl_slist_free_all(run->headers);
    free(run->head.ptr);
    free(run->body.ptr);
    free(run);
}

struct dep_res dep_fetch_begin(struct dep_fetcher *fetcher, const struct dep_fetch_policy *policy,
                               const struct dep_fetch_request *request, struct dep_fetch_transfer **ret_transfer)
{
    struct dep_fetch_transfer *run = calloc(1, sizeof(*run));
    struct dep_res res;

    if (run == NULL)
        return DEP_FAIL(NET_FETCH);
    run->fetcher = fetcher;
    run->may_loopback = policy->may_loopback;
    run->may_private = policy->may_private;
    run->head.max = HEAD_BYTES_MAX;
    run->body.max = policy->body_bytes_max;
    res = check_url(policy, request, run);
    if (dep_is_ok(res)) {
        run->easy = fetcher->spare != NULL ? fetcher->spare : curl_easy_init();
        fetcher->spare = NULL;
        if (run->easy == NULL || !set_up(run, policy, request) ||
            curl_multi_add_handle(fetcher->multi, run->easy) != CURLM_OK)
            res = DEP_FAIL(NET_FETCH);
    }
    if (!dep_is_ok(res)) {
        give_back(run);
        return res;
    }
    *ret_transfer = run;
    return DEP_OK;
}

/* Moves what can be moved. False: libcurl cannot go on. */
static bool perform(struct dep_fetcher *fetcher, bool *ret_has_ended)
{
    int running, left;
    bool is_able = curl_multi_perform(fetcher->multi, &running) == CURLM_OK;
    const CURLMsg *message;

    while ((message = curl_multi_info_read(fetcher->multi, &left)) != NULL) {
        CURLcode code = message->data.result;
        CURL *easy = message->easy_handle;
        char *owner = NULL;

        if (message->msg != CURLMSG_DONE || curl_easy_getinfo(easy, CURLINFO_PRIVATE, &owner) != CURLE_OK)
            continue;

        struct dep_fetch_transfer *run = (struct dep_fetch_transfer *)(void *)owner;

        run->code = code;
        run->has_ended = true;
        *ret_has_ended = true;
    }
    return is_able;
}

bool dep_fetch_wait(struct dep_fetcher *fetcher, int wake_fd, int64_t timeout_ms)
{
    struct curl_waitfd fds[2];
    unsigned count = 0;
    bool has_ended = false;

    if (fetcher->stop_fd >= 0)
        fds[count++] = (struct curl_waitfd){ .fd = fetcher->stop_fd, .events = CURL_WAIT_POLLIN };
    if (wake_fd >= 0)
        fds[count++] = (struct curl_waitfd){ .fd = wake_fd, .events = CURL_WAIT_POLLIN };
    if (!perform(fetcher, &has_ended))
        return false;
    if (has_ended)
        return true;
    if (curl_multi_poll(fetcher->multi, fds, count, timeout_ms < 1000 ? (int)timeout_ms : 1000, NULL) != CURLM_OK)
        return false;
    return (fetcher->stop_fd < 0 || fds[0].revents == 0) && perform(fetcher, &has_ended);
}

bool dep_fetch_has_ended(const struct dep_fetch_transfer *transfer)
{
    return transfer->has_ended;
}

struct dep_res dep_fetch_end(struct dep_fetch_transfer *transfer, struct dep_fetch_answer *ret_answer)
{
    struct dep_res res = DEP_FAIL(NET_FETCH);

    if (transfer->has_ended && transfer->code == CURLE_OK)
        res = finish(transfer, ret_answer);
    else if (transfer->is_too_large)
        res = DEP_FAIL(NET_FETCH_SIZE);
    else if (transfer->is_address_refused)
        res = DEP_FAIL(NET_FETCH_ADDRESS);
    else if (transfer->has_ended && transfer->code == CURLE_SSL_CERTPROBLEM)
        res = DEP_FAIL(NET_FETCH_CERTIFICATE);
    give_back(transfer);
    return res;
}

struct dep_res dep_fetch(struct dep_fetcher *fetcher, const struct dep_fetch_policy *policy,
                         const struct dep_fetch_request *request, struct dep_fetch_answer *ret_answer)
{
    struct dep_fetch_transfer *transfer;

    DEP_TRY(dep_fetch_begin(fetcher, policy, request, &transfer));
    while (!transfer->has_ended && dep_fetch_wait(fetcher, -1, 1000))
        ;
    return dep_fetch_end(transfer, ret_answer);
}

void dep_fetch_answer_done(struct dep_fetch_answer *answer)
{
    free(answer->memory);
    *answer = (struct dep_fetch_answer){ 0 };
}
