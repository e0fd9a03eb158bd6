// Leaves processes behind by every trick there is, then ends. Each calls itself by its trick, and would end by itself
// after some seconds, so that nothing of a control stays.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READY = 9, SECONDS = 3 };

static void linger(void) {
    if (write(READY, "x", 1) != 1) _exit(1);
    close(READY);
    for (time_t end = time(0) + SECONDS; time(0) < end;) usleep(10000);
    _exit(0);
}

static void *of_thread(void *nothing) { (void)nothing; linger(); return 0; }

// What runs under the name of a trick.
static int as_trick(const char *trick) {
    if (!strcmp(trick, "holds-output")) linger();
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++) dup2(null, fd);
    if (!strcmp(trick, "own-session")) setsid();
    if (!strcmp(trick, "own-group")) setpgid(0, 0);
    if (!strcmp(trick, "closed")) for (int fd = 0; fd < READY; fd++) close(fd);
    if (!strcmp(trick, "deaf")) for (int number = 1; number < NSIG; number++) signal(number, SIG_IGN);
    if (!strcmp(trick, "children-ignored")) { signal(SIGCHLD, SIG_IGN); if (fork() > 0) pause(); }
    if (!strcmp(trick, "subreaper")) { prctl(PR_SET_CHILD_SUBREAPER, 1); if (fork() == 0 && fork() != 0) _exit(0); }
    if (!strcmp(trick, "vfork-held") && vfork() != 0) _exit(0);
    if (!strcmp(trick, "stopped")) {
        if (write(READY, "x", 1) != 1) return 1;
        raise(SIGSTOP);
    }
    if (!strcmp(trick, "leader-gone")) {
        pthread_t thread;
        pthread_create(&thread, 0, of_thread, 0);
        pthread_exit(0);
    }
    if (!strcmp(trick, "chain") || !strcmp(trick, "quick-chain")) {
        if (write(READY, "x", 1) != 1) return 1;
        close(READY);
        for (time_t end = time(0) + SECONDS; time(0) < end;) {
            if (fork() > 0) _exit(0);
            // Long enough to be seen; the quick one lives for as long as a fork takes.
            if (!strcmp(trick, "chain")) usleep(50000);
        }
        return 0;
    }
    linger();
    return 0;
}

static void become(const char *trick) {
    execl("/proc/self/exe", trick, "trick", (char *)0);
    _exit(1);
}

int main(int argc, char **argv) {
    static const char *const tricks[] = {
        "double-fork", "own-session", "own-group", "vfork", "vfork-held", "clone-parent", "subreaper", "stopped", "deaf",
        "children-ignored", "chain", "chain", "chain", "quick-chain", "closed", "holds-output", "leader-gone",
    };
    if (argc > 1) return as_trick(argv[0]);
    int ready[2];
    if (pipe(ready) || dup2(ready[1], READY) != READY) return 1;
    close(ready[1]);
    int wanted = 0;
    for (size_t i = 0; i < sizeof tricks / sizeof *tricks; i++) {
        const char *trick = tricks[i];
        pid_t child = !strcmp(trick, "vfork") ? vfork()
            : !strcmp(trick, "clone-parent") ? (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0)
            : fork();
        if (child == 0) {
            if (!strcmp(trick, "double-fork") && fork() != 0) _exit(0);
            become(trick);
        }
        if (child < 0) printf("refused: %s: %m\n", trick);
        else wanted++;
        // These have somebody besides who says so.
        if (child > 0 && (!strcmp(trick, "subreaper"))) wanted++;
    }
    close(READY);
    char byte;
    for (; wanted > 0 && read(ready[0], &byte, 1) == 1; wanted--) {}
    puts("made");
    return 0;
}
