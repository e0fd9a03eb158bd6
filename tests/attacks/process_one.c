// Reads, traces and changes its parent: the agent inside, a shell that stands for it outside. Then a child of its own.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void result(const char *what, int escaped) {
    if (escaped) printf("ESCAPED: %s\n", what);
    else printf("blocked: %s: %m\n", what);
    fflush(stdout);
}

static pid_t agent;

// A file of the agent's in /proc.
static const char *its(const char *file) {
    static char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", agent, file);
    return path;
}

static void opened(const char *what, const char *file, int flags) {
    int fd = open(its(file), flags);
    result(what, fd >= 0);
    if (fd >= 0) close(fd);
}

// Permission to read memory is checked on opening for some files of /proc, on reading for others.
static void read_from(const char *what, const char *file) {
    char byte;
    int fd = open(its(file), O_RDONLY);
    result(what, fd >= 0 && read(fd, &byte, 1) == 1);
}

int main(void) {
    char link[PATH_MAX];
    agent = getppid();
    opened("memory of the agent", "mem", O_RDWR);
    read_from("maps of the agent", "maps");
    read_from("environment of the agent", "environ");
    read_from("auxiliary vector of the agent", "auxv");
    result("a descriptor of the agent", readlink(its("fd/0"), link, sizeof link) > 0);
    result("the executable of the agent", readlink(its("exe"), link, sizeof link) > 0);
    opened("the executable of the agent opened", "exe", O_RDONLY);
    opened("the root of the agent", "root/", O_RDONLY | O_DIRECTORY);

    int held = (int)syscall(SYS_pidfd_open, agent, 0);
    result("a copy of a descriptor of the agent", held >= 0 && syscall(SYS_pidfd_getfd, held, 0, 0) >= 0);

    uintptr_t there = (uintptr_t)main & ~4095ul;
    char here[16];
    struct iovec local = {here, sizeof here}, remote = {(void *)there, sizeof here};
    // An unmapped address answers EFAULT only to those who may look.
    result("process_vm_readv of the agent", process_vm_readv(agent, &local, 1, &remote, 1, 0) > 0 || errno == EFAULT);
    result("process_vm_writev of the agent",
           process_vm_writev(agent, &local, 1, &(struct iovec){(void *)8, 8}, 1, 0) > 0 || errno == EFAULT);
    result("kcmp with the agent", syscall(SYS_kcmp, agent, getpid(), 1 /* KCMP_VM */, 0, 0) >= 0);

    struct rlimit limit;
    result("limits of the agent", prlimit(agent, RLIMIT_NOFILE, 0, &limit) == 0);
    result("new limits of the agent", prlimit(agent, RLIMIT_CORE, &(struct rlimit){0, 0}, 0) == 0);
    result("ptrace of the agent", ptrace(PTRACE_SEIZE, agent, 0, 0) == 0);

    pid_t child = fork();
    if (child == 0) { pause(); _exit(0); }
    result("ptrace of an own child", ptrace(PTRACE_SEIZE, child, 0, 0) == 0);
    kill(child, SIGKILL);
    waitpid(child, 0, 0);
    child = fork();
    if (child == 0) _exit(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0 ? 0 : errno);
    int status;
    waitpid(child, &status, 0);
    errno = WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
    result("being traced", errno == 0);
    return 0;
}
