// System calls that no program needs here. With arguments that do nothing, the kernel's own complaint about them shows
// that the call got through; a filter answers EPERM or ENOSYS, or kills.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_open_by_handle_at
#define SYS_open_by_handle_at 304
#endif

static const struct { const char *name; long number; long args[5]; } calls[] = {
    {"bpf", SYS_bpf, {0, 0, 0}},
    {"io_uring_setup", 425, {1, 0}},
    {"userfaultfd", SYS_userfaultfd, {0}},
    {"perf_event_open", SYS_perf_event_open, {0, 0, -1, -1, 0}},
    {"keyctl", SYS_keyctl, {0, -3, 0}},
    {"add_key", SYS_add_key, {0, 0, 0, 0, 0}},
    {"request_key", SYS_request_key, {0, 0, 0, 0}},
    {"init_module", SYS_init_module, {0, 0, 0}},
    {"finit_module", SYS_finit_module, {-1, 0, 0}},
    {"kexec_load", SYS_kexec_load, {0, 1, 0, 0}},
    {"open_by_handle_at", SYS_open_by_handle_at, {-1, 0, 0}},
    {"name_to_handle_at", SYS_name_to_handle_at, {-1, 0, 0, 0, 0}},
    {"swapon", SYS_swapon, {0, 0}},
    {"acct", SYS_acct, {1}},
    {"quotactl", SYS_quotactl, {0, 0, 0, 1}},
    {"settimeofday", SYS_settimeofday, {1, 0}},
    {"syslog", SYS_syslog, {10}},
    {"fanotify_init", SYS_fanotify_init, {-1, 0}},
    {"move_pages", SYS_move_pages, {1, 1, 0, 0, 0}},
    {"mount_setattr", 442, {-1, 0, 0, 0, 0}},
    {"fsconfig", 431, {-1, 0, 0, 0, 0}},
    {"iopl", SYS_iopl, {0}},
    {"splice", SYS_splice, {-1, 0, -1, 0, 0}},
    {"tee", SYS_tee, {-1, -1, 0, 0}},
    {"pidfd_getfd", 438, {-1, 0, 0}},
    {"process_madvise", 440, {-1, 0, 0, 0, 0}},
    {"memfd_secret", 447, {-1}},
    {"io_uring_enter", 426, {-1, 0, 0, 0, 0}},
    {"landlock_create_ruleset", 444, {0, 0, 1}},
    {"seccomp", SYS_seccomp, {2, 0, 0}},
    {"lookup_dcookie", SYS_lookup_dcookie, {0, 0, 0}},
    {"clone3", 435, {0, 0}},
    {"adjtimex", SYS_adjtimex, {0}},
    {"reboot", SYS_reboot, {0, 0, 0, 0}},
    {"x32 getpid", 0x40000000 | SYS_getpid, {0}},
    {"modify_ldt", SYS_modify_ldt, {0, 0, 0}},
    {"vmsplice", SYS_vmsplice, {-1, 0, 0, 0}},
};

// The 32-bit entry has numbers of its own: getpid is 20 there.
static long getpid_of_i386(void) {
    long result = 20;
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    return result;
}

// The 32-bit door has its own ways to a socket, past a filter that only knows the 64-bit ones.
static int socket_of_i386(void) {
    // Arguments must lie where 32 bits reach.
    unsigned *arguments = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    long result = 102, call = 1;
    arguments[0] = AF_NETLINK, arguments[1] = SOCK_RAW, arguments[2] = 0;
    __asm__ volatile("int $0x80" : "+a"(result) : "b"(call), "c"(arguments) : "memory", "r8", "r9", "r10", "r11");
    return result >= 0;
}

static int predictable(void) { return personality(0x0040000) >= 0 && personality(0xffffffff) & 0x0040000; }

static int ring(void) {
    struct { unsigned words[30]; } parameters = {{0}};
    int fd = (int)syscall(425, 4, &parameters);
    // A host may have switched it off; that it is asked is then enough.
    return fd >= 0 || (errno != ENOSYS && !access("/proc/sys/kernel/io_uring_disabled", F_OK));
}

// A terminal of our own where there are any; else whatever standard input is.
static int terminal(unsigned long command) {
    int master = posix_openpt(O_RDWR | O_NOCTTY), slave = 0;
    char byte = 'x';
    if (master >= 0 && !grantpt(master) && !unlockpt(master)) slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    if (ioctl(slave, command, &byte) == 0) return 1;
    // The kernel's answer to one who may not, or to a terminal of another kind. A filter's is ENOTTY for anything.
    return errno == EIO || (slave > 0 && errno == EINVAL) || (command == TIOCLINUX && slave > 0 && errno == ENOTTY);
}
static int typed(void) { return terminal(TIOCSTI); }
static int console(void) { return terminal(TIOCLINUX); }

static int key(void) { return syscall(SYS_add_key, "user", "of-a-test", "x", 1ul, -2 /* of the process */) >= 0; }

static const struct { const char *name; int (*act)(void); } acts[] = {
    {"i386 through a socket", socket_of_i386}, {"personality without randomised addresses", predictable},
    {"io_uring", ring}, {"TIOCSTI", typed}, {"TIOCLINUX", console}, {"a writable key of the session", key},
};

static void attempt_act(int index) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) _exit(acts[index].act() ? 0 : errno ? errno : 1);
    int status;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) printf("blocked: %s: killed by signal %d\n", acts[index].name, WTERMSIG(status));
    else if (WEXITSTATUS(status)) printf("blocked: %s: %s\n", acts[index].name, strerror(WEXITSTATUS(status)));
    else printf("ESCAPED: %s\n", acts[index].name);
}

static void attempt(const char *name, int index) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (index < 0) _exit(getpid_of_i386() == getpid() ? 0 : ENOSYS);
        const long *a = calls[index].args;
        long result = syscall(calls[index].number, a[0], a[1], a[2], a[3], a[4]);
        _exit(result >= 0 || (errno != EPERM && errno != ENOSYS) ? 0 : errno);
    }
    int status;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) printf("blocked: %s: killed by signal %d\n", name, WTERMSIG(status));
    else if (WEXITSTATUS(status)) printf("blocked: %s: %s\n", name, strerror(WEXITSTATUS(status)));
    else printf("ESCAPED: %s\n", name);
}

int main(void) {
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) attempt(calls[i].name, (int)i);
    attempt("int 0x80", -1);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) attempt_act((int)i);
    return 0;
}
