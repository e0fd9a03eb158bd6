// A compiler that ends in odd ways, as its source says; and the program that it makes, which says who is left of it.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t heard;
static const char *self;
static char granted[20] = "silence";

static void hear(int signal) { (void)signal, heard++; }

static void copy(const char *from, const char *to) {
    static char bytes[1 << 20];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0755);
    ssize_t count;
    while ((count = read(in, bytes, sizeof bytes)) > 0)
        if (write(out, bytes, count) != count) exit(3);
    if (in < 0 || out < 0 || count < 0 || close(out)) exit(3);
}

static void note(const char *name, const char *text) {
    FILE *file = fopen(name, "w");
    if (!file || fputs(text, file) < 0 || fclose(file)) exit(3);
}

static int number_of(const char *line) {
    FILE *file = fopen("/proc/self/status", "r");
    char text[200];
    int number = -1;
    while (file && fgets(text, sizeof text, file))
        if (!strncmp(text, line, strlen(line))) number = atoi(text + strlen(line));
    if (file) fclose(file);
    return number;
}

// Opens by a call of its own, which must find its registers as it has left them.
static void ask_the_kernel(void) {
    const char *path = "/proc/sys/vm/overcommit_memory";
    long at = AT_FDCWD, file = 257;
    register const char *named __asm__("rsi") = path;
    register long from __asm__("rdi") = at;
    register long flags __asm__("rdx") = O_RDONLY | O_CLOEXEC;
    __asm__ volatile("syscall" : "+a"(file), "+r"(named), "+r"(from), "+r"(flags) : : "rcx", "r11", "memory");
    if (named != path || from != at || flags != (O_RDONLY | O_CLOEXEC)) strcpy(granted, "spoilt");
    if (file < 0) return;
    ssize_t count = read(file, granted, sizeof granted - 1);
    granted[count > 0 ? count : 0] = 0;
    granted[strcspn(granted, "\n")] = 0;
    close(file);
}

static void make_program(void) {
    note("granted", granted);
    note("watched", number_of("TracerPid:") > 0 ? "watched" : "unwatched");
    copy(self, "runbin");
}

static void *make_late(void *code) {
    usleep(50000);
    make_program();
    exit((int)(long)code);
}

static void *write_on(void *unused) {
    int file = open("trace", O_WRONLY | O_CREAT | O_APPEND, 0644);
    for (;;) (void)!write(file, ".", 1);
    return unused;
}

static void leave_children(int how_many) {
    for (int child = 0; child < how_many; child++) {
        if (fork()) continue;
        setsid();
        for (int number = 1; number < 32; number++) signal(number, SIG_IGN);
        for (int output = 0; output < 3; output++) close(output);
        write_on(0);
    }
}

static int others(void) {
    DIR *all = opendir("/proc");
    int count = 0;
    for (struct dirent *entry; all && (entry = readdir(all));) {
        int pid = atoi(entry->d_name);
        count += pid > 1 && pid != getpid();
    }
    if (!all) return -1;
    closedir(all);
    return count;
}

static int run(void) {
    char text[100] = "";
    FILE *file = fopen("watched", "r"), *kernels = fopen("granted", "r");
    if (!file || !fgets(text, sizeof text, file) || !kernels || !fgets(granted, sizeof granted, kernels)) return 4;
    int left = others();
    for (int wait = 0; left && wait < 200; wait++) usleep(10000), left = others();
    printf("%s, %s, %s\n", text, left ? "haunted" : "alone", granted);
    return 0;
}

int main(int argc, char **argv) {
    self = argv[0];
    if (strstr(self, "/runbin")) return run();
    ask_the_kernel();
    char word[100] = "";
    FILE *source = fopen(argv[argc - 1], "r");
    if (!source || !fgets(word, sizeof word, source)) return 1;
    fclose(source);
    pthread_t thread;

    if (!strcmp(word, "well")) {
        make_program();
        return 0;
    }
    if (!strcmp(word, "children")) {
        make_program();
        leave_children(3);
        usleep(20000);
        return 0;
    }
    if (!strcmp(word, "a thread that writes")) {
        make_program();
        pthread_create(&thread, 0, write_on, 0);
        usleep(20000);
        return 0;
    }
    if (!strcmp(word, "another thread ends it")) {
        pthread_create(&thread, 0, make_late, (void *)0L);
        for (;;) pause();
    }
    if (!strcmp(word, "the first thread ends alone")) {
        pthread_create(&thread, 0, make_late, (void *)0L);
        pthread_exit(0);
    }
    if (!strcmp(word, "the first thread ends alone, and it fails")) {
        pthread_create(&thread, 0, make_late, (void *)5L);
        pthread_exit(0);
    }
    if (!strncmp(word, "signals", 7)) {
        signal(SIGUSR1, hear);
        int count = atoi(word + 7);
        for (int sent = 0; sent < count; sent++) {
            kill(getpid(), SIGUSR1);
            while (heard <= sent) usleep(100);
        }
        make_program();
        return heard == count ? 0 : 3;
    }
    if (!strcmp(word, "stands still")) {
        pid_t main_process = getpid();
        if (!fork()) {
            usleep(50000);
            kill(main_process, SIGCONT);
            _exit(0);
        }
        raise(SIGSTOP);
        wait(0);
        make_program();
        return 0;
    }
    if (!strcmp(word, "last words")) {
        make_program();
        for (int line = 0; line < 20000; line++) fprintf(stderr, "line %d\n", line);
        return 0;
    }
    if (!strcmp(word, "fails at last")) {
        make_program();
        return 7;
    }
    if (!strcmp(word, "dies")) {
        make_program();
        kill(getpid(), SIGKILL);
    }
    if (!strcmp(word, "never ends")) {
        make_program();
        for (;;) pause();
    }
    fprintf(stderr, "no such word\n");
    return 1;
}
