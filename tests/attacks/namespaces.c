// Makes and enters namespaces, mounts, and changes roots: each in a child of its own, so that nothing of it stays.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int unshared(int flag) { return unshare(flag); }
static int cloned(int flag) {
    long child = syscall(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    return child < 0 ? -1 : 0;
}
static int cloned3(int flag) {
    struct { unsigned long long flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls; } args = {0};
    args.flags = flag;
    args.exit_signal = SIGCHLD;
    long child = syscall(SYS_clone3, &args, sizeof args);
    if (child == 0) _exit(0);
    return child < 0 ? -1 : 0;
}
static int entered(int flag) {
    int fd = open("/proc/self/ns/uts", O_RDONLY);
    return fd < 0 ? -1 : setns(fd, flag);
}
// Where this succeeds, what follows stays in a namespace of its own; where it fails, the callers of it try all the same.
static int private_mounts(void) { return unshare(CLONE_NEWNS) || mount("none", "/", 0, MS_REC | MS_PRIVATE, 0); }
static int mounted(int flag) { (void)flag; private_mounts(); return mount("none", "/tmp", "tmpfs", 0, 0); }
static int proc_mounted(int flag) { (void)flag; private_mounts(); return mount("proc", "/tmp", "proc", 0, 0); }
static int bound(int flag) { (void)flag; private_mounts(); return mount("/", "/tmp", 0, MS_BIND, 0); }
static int remounted(int flag) { (void)flag; private_mounts(); return mount("none", "/proc", 0, MS_REMOUNT | MS_BIND, 0); }
static int unmounted(int flag) { (void)flag; private_mounts(); return umount2("/proc", MNT_DETACH); }
static int opened_tree(int flag) { return (int)syscall(SYS_open_tree, AT_FDCWD, "/", flag); }
static int opened_fs(int flag) { (void)flag; return (int)syscall(SYS_fsopen, "tmpfs", 0); }
static int chrooted(int flag) { (void)flag; return chroot("/tmp"); }
static int pivoted(int flag) {
    (void)flag;
    private_mounts();
    if (mount("none", "/tmp", "tmpfs", 0, 0) || chdir("/tmp")) return -1;
    return (int)syscall(SYS_pivot_root, ".", ".");
}
static int named(int flag) { (void)flag; if (unshare(CLONE_NEWUTS)) return -1; return sethostname("x", 1); }

static void attempt(const char *what, int (*act)(int), int flag) {
    fflush(stdout);
    int status = 0;
    pid_t child = fork();
    if (child == 0) _exit(act(flag) < 0 ? errno : 0);
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) printf("blocked: %s: killed by signal %d\n", what, WTERMSIG(status));
    else if (WEXITSTATUS(status)) printf("blocked: %s: %s\n", what, strerror(WEXITSTATUS(status)));
    else printf("ESCAPED: %s\n", what);
}

int main(void) {
    static const struct { const char *name; int flag; } kinds[] = {
        {"user", CLONE_NEWUSER}, {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID}, {"net", CLONE_NEWNET},
        {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP},
    };
    char what[80];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(what, sizeof what, "unshare %s", kinds[i].name);
        attempt(what, unshared, kinds[i].flag);
        snprintf(what, sizeof what, "clone %s", kinds[i].name);
        attempt(what, cloned, kinds[i].flag);
        snprintf(what, sizeof what, "clone3 %s", kinds[i].name);
        attempt(what, cloned3, kinds[i].flag);
    }
    attempt("setns", entered, CLONE_NEWUTS);
    attempt("mount tmpfs", mounted, 0);
    attempt("mount proc", proc_mounted, 0);
    attempt("bind mount", bound, 0);
    attempt("remount", remounted, 0);
    attempt("umount", unmounted, 0);
    attempt("open_tree", opened_tree, OPEN_TREE_CLONE);
    attempt("fsopen", opened_fs, 0);
    attempt("chroot", chrooted, 0);
    attempt("pivot_root", pivoted, 0);
    attempt("sethostname", named, 0);
    return 0;
}
