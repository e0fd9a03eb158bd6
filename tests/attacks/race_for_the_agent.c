// Tries again and again, with three processes, to get hold of its parent while programs start: its program, its memory,
// its descriptors, its directories. That is the agent inside, and a shell that stands for it outside. And of whatever
// process there is for a moment.
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
    "the agent's program opened", "the agent's memory opened", "the agent's directory entered",
    "a descriptor of the agent opened", "a process of somebody else",
};

static pid_t agent;

static int opened(const char *path, int flags) {
    int fd = open(path, flags);
    if (fd < 0) return 0;
    close(fd);
    return 1;
}

// A file of a process in /proc.
static int opened_of(pid_t pid, const char *file, int flags) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    return opened(path, flags);
}

// Whoever is not of this group is not of this job.
static int foreign_one(pid_t pid) { return pid > 1 && getpgid(pid) != getpgid(0) && opened_of(pid, "mem", O_RDWR); }

static int foreign(void) {
    DIR *all = opendir("/proc");
    int found = 0;
    for (struct dirent *one; all && (one = readdir(all));) found |= foreign_one(atoi(one->d_name));
    // What is not listed may be guessed: those that made the agent came just before it.
    for (pid_t pid = agent - 100; !all && pid < agent + 100; pid++) found |= foreign_one(pid);
    if (all) closedir(all);
    return found;
}

static int race(void) {
    int got = 0;
    time_t end = time(0) + SECONDS;
    do {
        got |= (opened_of(agent, "exe", O_WRONLY) || opened_of(agent, "exe", O_RDONLY)) << 0;
        got |= (opened_of(agent, "mem", O_RDWR)) << 1;
        got |= (opened_of(agent, "cwd/.", O_RDONLY) || opened_of(agent, "root/.", O_RDONLY)) << 2;
        for (int fd = 0; fd < 32; fd++) {
            char file[16];
            snprintf(file, sizeof file, "fd/%d", fd);
            got |= (opened_of(agent, file, O_RDONLY) || opened_of(agent, file, O_WRONLY | O_NONBLOCK)) << 3;
        }
        got |= foreign() << 4;
    } while (time(0) < end);
    return got;
}

int main(void) {
    int got = 0, status;
    agent = getppid();
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            _exit(race());
        }
    // Orphans go to the agent, which has something to do meanwhile.
    for (int i = 0; i < 200; i++)
        if (fork() == 0) { if (fork() == 0) { usleep(1000); _exit(0); } _exit(0); }
    while (wait(&status) > 0) got |= WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    for (int way = 0; way < WAYS; way++)
        printf(got >> way & 1 ? "ESCAPED: %s\n" : "blocked: %s: never\n", ways[way]);
    return 0;
}
