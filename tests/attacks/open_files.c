// Opens files in one process, then in many at once, each stopping well before the host's table of files would notice.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PER_PROCESS = 1024, TASKS = 64, TRIED = 2048, PROCESSES = 80 };

struct answer { int opened, why; };

// A child that holds all it could open until it is killed.
static struct answer one_process(pid_t *child) {
    int answers[2];
    struct answer answer = {0, 0};
    if (pipe(answers)) return (struct answer){0, errno};
    *child = fork();
    if (*child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (answer.opened < TRIED && open("/dev/null", O_RDONLY) >= 0) answer.opened++;
        answer.why = errno;
        if (write(answers[1], &answer, sizeof answer) < 0) _exit(1);
        for (;;) pause();
    }
    if (*child < 0) answer.why = errno;
    close(answers[1]);
    if (*child > 0 && read(answers[0], &answer, sizeof answer) != sizeof answer) answer.why = EPIPE;
    close(answers[0]);
    return answer;
}

static void result(const char *what, long opened, long granted, int why) {
    if (opened > granted) printf("ESCAPED: %s\n", what);
    else printf("blocked: %s: %s\n", what, strerror(why));
    printf("opened: %ld\n", opened);
}

int main(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 2 * TRIED ? limit.rlim_max : 2 * TRIED;
    setrlimit(RLIMIT_NOFILE, &limit);

    pid_t children[PROCESSES];
    long all = 0;
    int started = 0, why = 0;
    for (; started < PROCESSES && all <= (long)PER_PROCESS * TASKS; started++) {
        struct answer answer = one_process(&children[started]);
        if (started == 0) result("more than 1024 files of one process", answer.opened, PER_PROCESS, answer.why);
        if (answer.why) why = answer.why;
        if (children[started] < 0) break;
        all += answer.opened;
    }
    result("more than 64 x 1024 files at once", all, (long)PER_PROCESS * TASKS, why);
    for (int i = 0; i < started; i++) kill(children[i], SIGKILL);
    while (wait(0) > 0) {}
    return 0;
}
