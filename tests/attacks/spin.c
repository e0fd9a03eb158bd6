// Takes two seconds of CPU time in the way that its argument names, and says how much it was.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double used(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void spin(double seconds, volatile double *sum) {
    while (used() < seconds) {}
    *sum = used();
    _exit(0);
}

int main(int argc, char **argv) {
    int hidden = argc > 1 && !strcmp(argv[1], "hidden");
    int count = hidden ? 100 : 8;
    double each = hidden ? 0.02 : 0.25, all = 0;
    volatile double *sums = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    // The kernel then forgets a child with its end, and what it took.
    if (hidden) signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            spin(each, &sums[i]);
        }
        if (hidden) waitpid(child, 0, 0);
    }
    while (wait(0) > 0) {}
    for (int i = 0; i < count; i++) all += sums[i];
    printf("took %f\n", all);
    return 0;
}
