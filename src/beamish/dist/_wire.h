/* Outgoing bytes of one connection, and the thread that ticks.
 *
 * The thread never needs the GIL, so a peer keeps hearing from us while Python code computes: it sends the empty packet on a
 * connection that wrote nothing for a quarter of the tick time, and pushes out what waits in a buffer.
 * Source: ERTS, Distribution Protocol, "Protocol after Handshake"; facts section 7.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

typedef struct bm_out {
    pthread_mutex_t lock;
    int fd;
    unsigned char *buf;
    size_t start, end, cap;     /* buf[start:end] waits; always whole packets, apart from a first one partly sent */
    double last_write, interval;
    int owed_zeros;             /* the rest of a tick that was sent in part */
    unsigned long long bytes, ticks, writes;
    struct bm_out *next;
} bm_out;

static pthread_mutex_t bm_all_lock = PTHREAD_MUTEX_INITIALIZER;
static bm_out *bm_all = 0;
static pthread_cond_t bm_all_changed;   /* on the monotonic clock; made with the thread */
static int bm_thread_runs = 0;

#ifdef __APPLE__
#define BM_WAIT_CLOCK CLOCK_REALTIME
#else
#define BM_WAIT_CLOCK CLOCK_MONOTONIC
#endif

static double bm_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Send what waits. The lock is held. Bytes left, or -errno. */
static long long bm_flush_locked(bm_out *out) {
    static const unsigned char zeros[4] = {0, 0, 0, 0};
    ssize_t n;
    if (out->fd < 0) return -EBADF;
    while (out->owed_zeros > 0) {
        n = send(out->fd, zeros, (size_t)out->owed_zeros, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) return (long long)(out->end - out->start) + out->owed_zeros;
            return -errno;
        }
        out->owed_zeros -= (int)n;
    }
    while (out->start < out->end) {
        n = send(out->fd, out->buf + out->start, out->end - out->start, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) return (long long)(out->end - out->start);
            return -errno;
        }
        out->start += (size_t)n;
        out->bytes += (unsigned long long)n;
        out->writes += 1;
        out->last_write = bm_now();
    }
    out->start = out->end = 0;
    return 0;
}

static void *bm_tick_loop(void *unused) {
    struct timespec until;
    (void)unused;
    pthread_mutex_lock(&bm_all_lock);
    for (;;) {
        double now, least = 1.0;
        bm_out *out;
        now = bm_now();
        for (out = bm_all; out; out = out->next) {
            if (out->interval / 2 < least) least = out->interval / 2;
            if (pthread_mutex_trylock(&out->lock) != 0) continue;
            if (out->fd >= 0 && now - out->last_write >= out->interval * 0.9) {
                if (out->end == out->start && out->owed_zeros == 0) {
                    out->owed_zeros = 4;
                    out->ticks += 1;
                }
                if (bm_flush_locked(out) == 0) out->last_write = now;
            }
            pthread_mutex_unlock(&out->lock);
        }
        if (least < 0.02) least = 0.02;
        clock_gettime(BM_WAIT_CLOCK, &until);
        least += (double)until.tv_nsec * 1e-9;
        until.tv_sec += (time_t)least;
        until.tv_nsec = (long)((least - (double)(time_t)least) * 1e9);
        pthread_cond_timedwait(&bm_all_changed, &bm_all_lock, &until);
    }
    return 0;
}

static void bm_after_fork_in_child(void) {
    /* The thread is not in the child, and the sockets are the parent's to tick. */
    pthread_mutex_init(&bm_all_lock, 0);
    bm_all = 0;
    bm_thread_runs = 0;
}

static bm_out *bm_out_new(int fd, double interval) {
    pthread_t thread;
    pthread_attr_t attr;
    pthread_condattr_t clock;
    bm_out *out = (bm_out *)calloc(1, sizeof(bm_out));
    if (!out) return 0;
    pthread_mutex_init(&out->lock, 0);
    out->fd = fd;
    out->interval = interval;
    out->last_write = bm_now();
    pthread_mutex_lock(&bm_all_lock);
    out->next = bm_all;
    bm_all = out;
    if (!bm_thread_runs) {
        pthread_condattr_init(&clock);
#ifndef __APPLE__
        pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
#endif
        pthread_cond_init(&bm_all_changed, &clock);
        pthread_condattr_destroy(&clock);
        pthread_attr_init(&attr);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attr, 64 * 1024);
        if (pthread_create(&thread, &attr, bm_tick_loop, 0) == 0) {
            bm_thread_runs = 1;
            pthread_atfork(0, 0, bm_after_fork_in_child);
        }
        pthread_attr_destroy(&attr);
    }
    pthread_cond_signal(&bm_all_changed);
    pthread_mutex_unlock(&bm_all_lock);
    return out;
}

/* Forget the connection; what waits is dropped. The caller closes the socket afterwards. */
static void bm_out_free(bm_out *out) {
    bm_out **link;
    pthread_mutex_lock(&bm_all_lock);
    for (link = &bm_all; *link; link = &(*link)->next)
        if (*link == out) {
            *link = out->next;
            break;
        }
    pthread_mutex_unlock(&bm_all_lock);
    pthread_mutex_destroy(&out->lock);
    free(out->buf);
    free(out);
}

static long long bm_out_flush(bm_out *out) {
    long long left;
    pthread_mutex_lock(&out->lock);
    left = bm_flush_locked(out);
    pthread_mutex_unlock(&out->lock);
    return left;
}

/* Append whole packets. If nothing waits and there is much, the buffers are exchanged instead of copied. */
static int bm_out_append(bm_out *out, unsigned char **data, size_t n, size_t *cap) {
    size_t need;
    pthread_mutex_lock(&out->lock);
    if (n >= 16384 && out->start == out->end) {
        unsigned char *buf = out->buf;
        size_t old = out->cap;
        out->buf = *data;
        out->cap = *cap;
        out->start = 0;
        out->end = n;
        *data = buf;
        *cap = old;
        pthread_mutex_unlock(&out->lock);
        return 0;
    }
    if (out->end + n > out->cap && out->start > 0) {
        memmove(out->buf, out->buf + out->start, out->end - out->start);
        out->end -= out->start;
        out->start = 0;
    }
    need = out->end + n;
    if (need > out->cap) {
        size_t cap2 = out->cap ? out->cap : 4096;
        unsigned char *grown;
        while (cap2 < need) cap2 *= 2;
        grown = (unsigned char *)realloc(out->buf, cap2);
        if (!grown) {
            pthread_mutex_unlock(&out->lock);
            return -1;
        }
        out->buf = grown;
        out->cap = cap2;
    }
    memcpy(out->buf + out->end, *data, n);
    out->end += n;
    pthread_mutex_unlock(&out->lock);
    return 0;
}

static size_t bm_out_pending(bm_out *out) { return out->end - out->start; }

static ssize_t bm_recv(int fd, unsigned char *to, size_t n) {
    ssize_t got;
    do {
        got = recv(fd, to, n, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -(ssize_t)errno : got;
}

/* Keep memory that one huge message needed from staying. */
static void bm_out_trim(bm_out *out) {
    pthread_mutex_lock(&out->lock);
    if (out->start == out->end && out->cap > (4u << 20)) {
        free(out->buf);
        out->buf = 0;
        out->cap = out->start = out->end = 0;
    }
    pthread_mutex_unlock(&out->lock);
}
