// Makes kernel objects of each kind until it has more than any program needs.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MANY = 8192 };

static int epoll(int i) { (void)i; return epoll_create1(0); }
static int inotify(int i) { (void)i; return inotify_init1(0); }
static int event(int i) { (void)i; return eventfd(0, 0); }
static int timer(int i) {
    timer_t made;
    (void)i;
    return timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_NONE}, &made);
}
static int pending(int i) { return sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}); }
static int queue(int i) {
    (void)i;
    mqd_t made = mq_open("/of-a-test", O_CREAT | O_RDWR, 0600, &(struct mq_attr){.mq_maxmsg = 512, .mq_msgsize = 8192});
    if (made >= 0) mq_unlink("/of-a-test");
    return made;
}

static void attempt(const char *what, int (*make)(int), int many) {
    fflush(stdout);
    int status;
    pid_t child = fork();
    if (child == 0) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, 0);
        for (int made = 0; made < many; made++)
            if (make(made) < 0) {
                printf("blocked: %s: %m after %d\n", what, made);
                exit(0);
            }
        printf("ESCAPED: %s\n", what);
        exit(0);
    }
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) printf("blocked: %s: killed by signal %d\n", what, WTERMSIG(status));
}

int main(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 2 * MANY ? limit.rlim_max : 2 * MANY;
    setrlimit(RLIMIT_NOFILE, &limit);
    setrlimit(RLIMIT_MSGQUEUE, &(struct rlimit){16 << 20, 16 << 20});
    attempt("8192 epoll instances", epoll, 8192);
    attempt("8192 eventfds", event, 8192);
    attempt("8192 inotify instances", inotify, 8192);
    attempt("a queue of 4 MiB", queue, 1);
    attempt("a million timers", timer, 1000000);
    attempt("a million pending signals", pending, 1000000);
    return 0;
}
