// Tries again and again, with three processes, to get hold of process 1 while programs start: its program, its memory,
// its descriptors, its directories. And of whatever process there is for a moment.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAYS = 5, SECONDS = 1 };
static const char *const ways[WAYS] = {
    "process 1's program opened", "process 1's memory opened", "process 1's directory entered",
    "a descriptor of process 1 opened", "a process of somebody else",
};

static int opened(const char *path, int flags) {
    int fd = open(path, flags);
    if (fd < 0) return 0;
    close(fd);
    return 1;
}

static int foreign(void) {
    DIR *all = opendir("/proc");
    int found = 0;
    for (struct dirent *one; all && (one = readdir(all));) {
        int pid = atoi(one->d_name);
        char path[64];
        // Whoever is not of this session is not of this job.
        if (pid < 2 || getsid(pid) == getsid(0)) continue;
        snprintf(path, sizeof path, "/proc/%d/mem", pid);
        found |= opened(path, O_RDWR);
    }
    if (all) closedir(all);
    return found;
}

static int race(void) {
    int got = 0;
    time_t end = time(0) + SECONDS;
    do {
        got |= (opened("/proc/1/exe", O_WRONLY) || opened("/proc/1/exe", O_RDONLY)) << 0;
        got |= (opened("/proc/1/mem", O_RDWR) || opened("/proc/1/task/1/mem", O_RDWR)) << 1;
        got |= (opened("/proc/1/cwd/.", O_RDONLY) || opened("/proc/1/root/.", O_RDONLY)) << 2;
        for (int fd = 0; fd < 32; fd++) {
            char path[64];
            snprintf(path, sizeof path, "/proc/1/fd/%d", fd);
            got |= (opened(path, O_RDONLY) || opened(path, O_WRONLY | O_NONBLOCK)) << 3;
        }
        got |= foreign() << 4;
    } while (time(0) < end);
    return got;
}

int main(void) {
    int got = 0, status;
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            _exit(race());
        }
    // Orphans go to process 1, which has something to do meanwhile.
    for (int i = 0; i < 200; i++)
        if (fork() == 0) { if (fork() == 0) { usleep(1000); _exit(0); } _exit(0); }
    while (wait(&status) > 0) got |= WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    for (int way = 0; way < WAYS; way++)
        printf(got >> way & 1 ? "ESCAPED: %s\n" : "blocked: %s: never\n", ways[way]);
    return 0;
}
