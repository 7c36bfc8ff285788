/* A thread that watches, without the GIL, whether the step in progress on the main thread takes too long, and signals that
 * thread if so. The kernel writes `step` and `active`; nothing here touches Python. */
#ifndef BEAMISH_WATCHDOG_H
#define BEAMISH_WATCHDOG_H

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

typedef struct {
    volatile uint64_t step;        /* number of the step in progress */
    volatile int active;           /* a turn of processes is in progress on the watched thread */
    volatile uint64_t signalled;   /* the step that the last signal was for */
    volatile double since;         /* when the watchdog first saw `step` (CLOCK_MONOTONIC) */
    volatile double slice;         /* seconds a step may take */
    volatile int asleep;           /* the watchdog waits for a turn to begin */
    int started;
    int signal;
    pthread_t watched;
    pthread_mutex_t lock;
    pthread_cond_t begun;
} beamish_watch_t;

static beamish_watch_t beamish_watch = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .begun = PTHREAD_COND_INITIALIZER, .slice = 0.001,
};

static double beamish_watch_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define BEAMISH_IDLE_LOOKS 200     /* looks without any turn before the watchdog goes to sleep */

static void *beamish_watch_run(void *ignored) {
    beamish_watch_t *w = &beamish_watch;
    uint64_t seen = 0;
    int idle = 0;
    double rest = 0;
    (void)ignored;
    for (;;) {
        /* Half a slice between looks; once a step has been seen twice, just until its time is over. */
        struct timespec period;
        if (rest <= 0 || rest > w->slice / 2) rest = w->slice / 2;
        period.tv_sec = (time_t)rest;
        period.tv_nsec = (long)((rest - (double)period.tv_sec) * 1e9);
        nanosleep(&period, NULL);
        rest = 0;
        double now = beamish_watch_now();
        uint64_t step = w->step;
        if (step != seen || !w->active) {
            idle = step == seen ? idle + 1 : 0;
            seen = step;
            w->since = now;
            if (idle > BEAMISH_IDLE_LOOKS) {
                pthread_mutex_lock(&w->lock);
                w->asleep = 1;
                __atomic_thread_fence(__ATOMIC_SEQ_CST);
                while (w->asleep && !w->active)
                    pthread_cond_wait(&w->begun, &w->lock);
                w->asleep = 0;
                pthread_mutex_unlock(&w->lock);
                idle = 0;
                w->since = beamish_watch_now();
            }
            continue;
        }
        if (now - w->since >= w->slice * 0.9) {
            w->signalled = step;
            pthread_kill(w->watched, w->signal);
        } else {
            rest = w->slice - (now - w->since);
        }
    }
    return NULL;
}

/* Called at the start of every turn of the watched thread. */
static inline void beamish_watch_begin(beamish_watch_t *w) {
    w->active = 1;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (w->asleep) {
        pthread_mutex_lock(&w->lock);
        w->asleep = 0;
        pthread_cond_signal(&w->begun);
        pthread_mutex_unlock(&w->lock);
    }
}

/* Start watching the calling thread; 0 or an errno. The watchdog itself takes no signals. */
static int beamish_watch_start(int signal) {
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    int failed;
    beamish_watch.watched = pthread_self();
    beamish_watch.signal = signal;
    if (beamish_watch.started)
        return 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 65536);
    failed = pthread_create(&thread, &attributes, beamish_watch_run, NULL);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        beamish_watch.started = 1;
    return failed;
}

/* In a forked child there is no watchdog any more. */
static void beamish_watch_forked(void) {
    pthread_mutex_init(&beamish_watch.lock, NULL);
    pthread_cond_init(&beamish_watch.begun, NULL);
    beamish_watch.started = 0;
    beamish_watch.active = 0;
    beamish_watch.asleep = 0;
}

#endif
