// Reads, traces and changes process 1: the agent inside, a shell that stands for it outside. Then a child of its own.
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

static void opened(const char *what, const char *path, int flags) {
    int fd = open(path, flags);
    result(what, fd >= 0);
    if (fd >= 0) close(fd);
}

// Permission to read memory is checked on opening for some files of /proc, on reading for others.
static void read_from(const char *what, const char *path) {
    char byte;
    int fd = open(path, O_RDONLY);
    result(what, fd >= 0 && read(fd, &byte, 1) == 1);
}

int main(void) {
    char link[PATH_MAX];
    opened("memory of process 1", "/proc/1/mem", O_RDWR);
    read_from("maps of process 1", "/proc/1/maps");
    read_from("environment of process 1", "/proc/1/environ");
    read_from("auxiliary vector of process 1", "/proc/1/auxv");
    result("a descriptor of process 1", readlink("/proc/1/fd/0", link, sizeof link) > 0);
    result("the executable of process 1", readlink("/proc/1/exe", link, sizeof link) > 0);
    opened("the executable of process 1 opened", "/proc/1/exe", O_RDONLY);
    opened("the root of process 1", "/proc/1/root/", O_RDONLY | O_DIRECTORY);

    int one = (int)syscall(SYS_pidfd_open, 1, 0);
    result("a copy of a descriptor of process 1", one >= 0 && syscall(SYS_pidfd_getfd, one, 0, 0) >= 0);

    uintptr_t there = (uintptr_t)main & ~4095ul;
    char here[16];
    struct iovec local = {here, sizeof here}, remote = {(void *)there, sizeof here};
    // An unmapped address answers EFAULT only to those who may look.
    result("process_vm_readv of process 1", process_vm_readv(1, &local, 1, &remote, 1, 0) > 0 || errno == EFAULT);
    result("process_vm_writev of process 1",
           process_vm_writev(1, &local, 1, &(struct iovec){(void *)8, 8}, 1, 0) > 0 || errno == EFAULT);
    result("kcmp with process 1", syscall(SYS_kcmp, 1, getpid(), 1 /* KCMP_VM */, 0, 0) >= 0);

    struct rlimit limit;
    result("limits of process 1", prlimit(1, RLIMIT_NOFILE, 0, &limit) == 0);
    result("new limits of process 1", prlimit(1, RLIMIT_CORE, &(struct rlimit){0, 0}, 0) == 0);
    result("ptrace of process 1", ptrace(PTRACE_SEIZE, 1, 0, 0) == 0);

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
