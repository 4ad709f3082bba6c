/* libcurl tells which descriptors to watch and when to be called; the loop does both. */
#include "fetch.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define TRANSFERS 4 /* the guard asks for two at a time */

struct fetcher {
    CURLM *multi;
    CURL *running[TRANSFERS];
    int epoll_fd;
    bool may_http;
    int64_t timer_ms; /* when libcurl wants to be called; -1: not */
};

struct transfer {
    struct deputy_fetch *fetch;
    struct curl_slist *headers;
    char *body;
    size_t len, max;
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Called by libcurl: watch this descriptor so, from now on. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    struct fetcher *fetcher = context;
    struct epoll_event event = { .data.fd = fd };

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(fetcher->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    event.events = (what != CURL_POLL_OUT ? EPOLLIN : 0u) | (what != CURL_POLL_IN ? EPOLLOUT : 0u);
    if (epoll_ctl(fetcher->epoll_fd, known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) != 0)
        return -1;
    curl_multi_assign(fetcher->multi, fd, fetcher);
    return 0;
}

/* Called by libcurl: call me in so many milliseconds. */
static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct fetcher *fetcher = context;

    (void)multi;
    fetcher->timer_ms = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
    return 0;
}

struct fetcher *fetcher_new(int epoll_fd, bool may_http)
{
    struct fetcher *fetcher = calloc(1, sizeof(*fetcher));

    if (fetcher == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        (fetcher->multi = curl_multi_init()) == NULL) {
        free(fetcher);
        return NULL;
    }
    fetcher->epoll_fd = epoll_fd;
    fetcher->may_http = may_http;
    fetcher->timer_ms = -1;
    curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
    curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
    return fetcher;
}

static void end_transfer(struct fetcher *fetcher, CURL *easy, bool is_answered)
{
    struct transfer *transfer = NULL;
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&transfer);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(fetcher->multi, easy);
    for (size_t i = 0; i < TRANSFERS; i++)
        if (fetcher->running[i] == easy)
            fetcher->running[i] = NULL;
    curl_easy_cleanup(easy);
    if (is_answered)
        (void)deputy_fetch_answer(transfer->fetch, (int)status, transfer->body, transfer->len);
    else
        deputy_fetch_fail(transfer->fetch);
    curl_slist_free_all(transfer->headers);
    free(transfer->body);
    free(transfer);
}

void fetcher_free(struct fetcher *fetcher)
{
    for (size_t i = 0; i < TRANSFERS; i++)
        if (fetcher->running[i] != NULL)
            end_transfer(fetcher, fetcher->running[i], false);
    curl_multi_cleanup(fetcher->multi);
    curl_global_cleanup();
    free(fetcher);
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t len = size * count;
    char *grown;

    if (len > transfer->max - transfer->len)
        return 0; /* more than the guard reads: this ends the transfer */
    grown = realloc(transfer->body, transfer->len + len + 1);
    if (grown == NULL)
        return 0;
    memcpy(grown + transfer->len, data, len);
    transfer->body = grown;
    transfer->len += len;
    return len;
}

static bool take_headers(struct transfer *transfer)
{
    size_t count;
    const struct deputy_header *headers = deputy_fetch_headers(transfer->fetch, &count);

    for (size_t i = 0; i < count; i++) {
        size_t size = headers[i].name.len + headers[i].value.len + 3;
        char *line = malloc(size);
        struct curl_slist *longer = NULL;

        if (line != NULL) {
            (void)snprintf(line, size, "%.*s: %.*s", (int)headers[i].name.len, headers[i].name.ptr,
                           (int)headers[i].value.len, headers[i].value.ptr);
            longer = curl_slist_append(transfer->headers, line);
        }
        free(line);
        if (longer == NULL)
            return false;
        transfer->headers = longer;
    }
    return true;
}

/* A place among those that run; false: there is none. */
static bool note(struct fetcher *fetcher, CURL *easy)
{
    for (size_t i = 0; i < TRANSFERS; i++)
        if (fetcher->running[i] == NULL) {
            fetcher->running[i] = easy;
            return true;
        }
    return false;
}

static void start(struct fetcher *fetcher, struct deputy_fetch *fetch)
{
    struct transfer *transfer = calloc(1, sizeof(*transfer));
    CURL *easy = curl_easy_init();

    if (transfer == NULL || easy == NULL) {
        free(transfer);
        curl_easy_cleanup(easy);
        deputy_fetch_fail(fetch);
        return;
    }
    transfer->fetch = fetch;
    transfer->max = deputy_fetch_body_bytes_max(fetch);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_URL, deputy_fetch_url(fetch));
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, fetcher->may_http ? "https,http" : "https");
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* none from the environment; and no redirects, which is the default */
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)deputy_fetch_timeout_ms(fetch));
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    if (!take_headers(transfer) || !note(fetcher, easy) ||
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers) != CURLE_OK ||
        curl_multi_add_handle(fetcher->multi, easy) != CURLM_OK)
        end_transfer(fetcher, easy, false);
}

/* Transfers that are over. */
static void collect(struct fetcher *fetcher)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(fetcher->multi, &left)) != NULL)
        if (message->msg == CURLMSG_DONE)
            end_transfer(fetcher, message->easy_handle, message->data.result == CURLE_OK);
}

void fetcher_ready(struct fetcher *fetcher, int fd, uint32_t events)
{
    int running, what = 0;

    what |= (events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0;
    what |= (events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0;
    what |= (events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0;
    (void)curl_multi_socket_action(fetcher->multi, fd, what, &running);
    collect(fetcher);
}

int64_t fetcher_drive(struct fetcher *fetcher, struct deputy_guard *guard)
{
    int64_t wait_ms, curl_ms;
    int running;

    if (fetcher->timer_ms >= 0 && fetcher->timer_ms <= now_ms()) {
        fetcher->timer_ms = -1;
        (void)curl_multi_socket_action(fetcher->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        collect(fetcher);
    }
    for (struct deputy_fetch *fetch; (fetch = deputy_guard_fetch_next(guard, &wait_ms)) != NULL;)
        start(fetcher, fetch);
    if (fetcher->timer_ms < 0)
        return wait_ms;
    curl_ms = fetcher->timer_ms > now_ms() ? fetcher->timer_ms - now_ms() : 0;
    return wait_ms < 0 || curl_ms < wait_ms ? curl_ms : wait_ms;
}
