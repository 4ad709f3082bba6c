/* An eventfd that other threads write and nginx's event loop reads. */
#include "wake.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <ngx_channel.h>

#define HOLD_MS 10000

static struct {
    pthread_mutex_t lock;
    struct dep_nginx_wait *awake; /* under the lock, newest first */
    dep_nginx_resume *resume;
    size_t waiting; /* of the event loop, as what follows */
    int fd;
    ngx_event_t hold;
    ngx_connection_t connection;
} wake = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

/* On whatever thread it waited for. */
static void push(struct dep_nginx_wait *wait)
{
    uint64_t one = 1;
    bool was_empty;

    pthread_mutex_lock(&wake.lock);
    was_empty = wake.awake == NULL;
    wait->next = wake.awake;
    wake.awake = wait;
    pthread_mutex_unlock(&wake.lock);
    /* Cannot fail: the counter is far from its end. */
    if (was_empty && write(wake.fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
        abort();
}

static void keys_fetched(struct dep_keys_waiter *waiter)
{
    push((struct dep_nginx_wait *)(void *)waiter);
}

static void record_done(struct dep_journal_waiter *waiter, bool is_written)
{
    struct dep_nginx_wait *wait =
        (struct dep_nginx_wait *)(void *)((char *)waiter - offsetof(struct dep_nginx_wait, record));

    wait->is_written = is_written;
    push(wait);
}

/* Those that woke first, first. */
static struct dep_nginx_wait *take_awake(void)
{
    struct dep_nginx_wait *awake, *turned = NULL;

    pthread_mutex_lock(&wake.lock);
    awake = wake.awake;
    wake.awake = NULL;
    pthread_mutex_unlock(&wake.lock);
    while (awake != NULL) {
        struct dep_nginx_wait *next = awake->next;

        awake->next = turned;
        turned = awake;
        awake = next;
    }
    return turned;
}

static void handle_event(ngx_event_t *event)
{
    struct dep_nginx_wait *wait;
    uint64_t count;

    (void)event;
    if (read(wake.fd, &count, sizeof(count)) < 0 && ngx_errno != NGX_EAGAIN)
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno, "deputy: reading the wake-up failed");
    for (wait = take_awake(); wait != NULL;) {
        struct dep_nginx_wait *next = wait->next;
        ngx_http_request_t *request = wait->request;

        if (request != NULL)
            wake.resume(request, wait);
        dep_nginx_wait_free(wait);
        wait = next;
    }
}

/* nginx exits once no timer is left. */
static void hold_on(ngx_event_t *event)
{
    if (wake.waiting > 0)
        ngx_add_timer(event, HOLD_MS);
}

ngx_int_t dep_nginx_wake_start(ngx_cycle_t *cycle, dep_nginx_resume *resume)
{
    wake.resume = resume;
    wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake.fd < 0)
        return NGX_ERROR;
    wake.connection.fd = (ngx_socket_t)-1;
    wake.hold.handler = hold_on;
    wake.hold.log = cycle->log;
    wake.hold.data = &wake.connection;
    return ngx_add_channel_event(cycle, wake.fd, NGX_READ_EVENT, handle_event);
}

void dep_nginx_wake_stop(void)
{
    struct dep_nginx_wait *wait = take_awake();

    while (wait != NULL) {
        struct dep_nginx_wait *next = wait->next;

        dep_nginx_wait_free(wait);
        wait = next;
    }
    if (wake.fd >= 0)
        close(wake.fd);
    wake.fd = -1;
}

struct dep_nginx_wait *dep_nginx_wait_new(ngx_http_request_t *request)
{
    struct dep_nginx_wait *wait = calloc(1, sizeof(*wait));

    if (wait == NULL)
        return NULL;
    wait->keys.resume = keys_fetched;
    wait->record.done = record_done;
    wait->request = request;
    wake.waiting++;
    if (!wake.hold.timer_set)
        ngx_add_timer(&wake.hold, HOLD_MS);
    return wait;
}

void dep_nginx_wait_free(struct dep_nginx_wait *wait)
{
    free(wait);
    wake.waiting--;
    if (wake.waiting == 0 && wake.hold.timer_set)
        ngx_del_timer(&wake.hold);
}

void dep_nginx_wait_orphan(struct dep_nginx_wait *wait)
{
    wait->request = NULL;
}
