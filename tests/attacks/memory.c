// Takes 256 MiB in the way its argument names, and touches all of it.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCK = 1 << 20, BLOCKS = 256 };
static char block[BLOCK];

static int blocked(const char *what) { printf("blocked: 256 MiB: %s: %m\n", what); return 0; }

static int fill(int fd, const char *what) {
    for (int i = 0; i < BLOCKS; i++)
        if (write(fd, block, BLOCK) != BLOCK) return blocked(what);
    return 1;
}

static int touch(char *memory, const char *what) {
    if (memory == MAP_FAILED || !memory) return blocked(what);
    for (size_t i = 0; i < (size_t)BLOCK * BLOCKS; i += 4096) memory[i] = 1;
    return 1;
}

// Fills a descriptor that nobody reads until it takes no more.
static long stuff(int fd) {
    long taken = 0;
    for (ssize_t n; (n = write(fd, block, 1 << 16)) > 0 || (n = write(fd, block, 4096)) > 0;) taken += n;
    return taken;
}

// Pipes as large as they come, then small ones.
static long pipes(long wanted) {
    long taken = 0;
    for (int ends[2]; taken < wanted && !pipe2(ends, O_NONBLOCK);) {
        fcntl(ends[1], F_SETPIPE_SZ, BLOCK);
        taken += stuff(ends[1]);
    }
    return taken;
}

static long sockets(long wanted) {
    long taken = 0;
    for (int ends[2]; taken < wanted && !socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends);)
        for (int i = 0; i < 2; i++) {
            setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &(int){BLOCK}, sizeof(int));
            taken += stuff(ends[i]);
        }
    return taken;
}

// Four processes that hold what they have stuffed until all have said how much.
static int in_four(long (*fill)(long), const char *what) {
    int answers[2];
    long all = 0, taken;
    if (pipe(answers)) return blocked(what);
    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            taken = fill((long)BLOCK * BLOCKS / 4);
            if (write(answers[1], &taken, sizeof taken) < 0) _exit(1);
            for (;;) pause();
        }
    close(answers[1]);
    for (int i = 0; i < 4 && read(answers[0], &taken, sizeof taken) == sizeof taken; i++) all += taken;
    printf("%s: %ld MiB\n", what, all >> 20);
    return all >= (long)BLOCK * BLOCKS ? 1 : blocked(what);
}

int main(int argc, char **argv) {
    const char *way = argc > 1 ? argv[1] : "";
    size_t all = (size_t)BLOCK * BLOCKS;
    int taken = 0;
    memset(block, 1, BLOCK);
    printf("before taking memory by %s\n", way);
    fflush(stdout);
    if (!strcmp(way, "heap")) taken = touch(malloc(all), way);
    if (!strcmp(way, "shared")) taken = touch(mmap(0, all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), way);
    // No single file is large.
    if (!strcmp(way, "memfd")) {
        taken = 1;
        for (int i = 0; i < BLOCKS && taken; i += 16) {
            int fd = memfd_create("x", 0);
            for (int j = 0; j < 16 && taken; j++) taken = write(fd, block, BLOCK) == BLOCK || blocked(way);
        }
    }
    if (!strcmp(way, "sysv")) {
        int id = shmget(IPC_PRIVATE, all, IPC_CREAT | 0600);
        char *memory = id < 0 ? 0 : shmat(id, 0, 0);
        if (id >= 0) shmctl(id, IPC_RMID, 0);
        taken = memory == (char *)-1 ? blocked(way) : touch(memory, way);
    }
    // A tmpfs holds memory; its size limit must be the disk's, not the host's.
    if (!strcmp(way, "tmpfs")) {
        char path[] = "/dev/shm/memory-XXXXXX";
        int fd = mkstemp(path);
        unlink(path);
        taken = fd < 0 ? blocked(way) : fill(fd, way);
    }
    // A set of 250 takes 16 KiB, and stays until somebody removes it: in a cell that is nobody.
    if (!strcmp(way, "semaphores")) {
        static int sets[BLOCKS * 64];
        int made = 0;
        while (made < BLOCKS * 64 && (sets[made] = semget(IPC_PRIVATE, 250, 0600)) >= 0) made++;
        taken = made == BLOCKS * 64 ? 1 : blocked(way);
        while (made > 0) semctl(sets[--made], 0, IPC_RMID);
    }
    if (!strcmp(way, "pipes")) taken = in_four(pipes, way);
    if (!strcmp(way, "unix")) taken = in_four(sockets, way);
    if (!strcmp(way, "locked")) {
        char *memory = mmap(0, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        taken = memory == MAP_FAILED || mlock(memory, all) ? blocked(way) : touch(memory, way);
    }
    // One byte in every two megabytes takes a page of the table that says where it is.
    if (!strcmp(way, "tables")) {
        size_t step = 2 << 20, length = step * (all / 4096);
        char *memory = mmap(0, length, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        volatile char sum = 0;
        if (memory != MAP_FAILED) madvise(memory, length, MADV_NOHUGEPAGE);
        for (size_t i = 0; memory != MAP_FAILED && i < length; i += step) sum += memory[i];
        taken = memory == MAP_FAILED ? blocked(way) : 1;
    }
    // Sixteen processes, none of which takes much by itself.
    if (!strcmp(way, "children")) {
        int said[2], status, touched = 0, dead = 0;
        if (pipe(said)) return blocked(way);
        for (int i = 0; i < 16; i++) {
            pid_t child = fork();
            dead += child < 0;
            if (child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                char *memory = malloc(all / 16);
                for (size_t j = 0; j < all / 16; j += 4096) memory[j] = 1;
                if (write(said[1], "", 1) == 1) pause();
            }
        }
        // However long it takes them.
        while (touched < 16 && !dead) {
            char byte;
            if (poll(&(struct pollfd){said[0], POLLIN, 0}, 1, 10) > 0) touched += read(said[0], &byte, 1) == 1;
            if (waitpid(-1, &status, WNOHANG) > 0) dead++;
        }
        // They hold it until somebody has looked: a moment is enough for the kernel to say no.
        usleep(1000000);
        while (waitpid(-1, &status, WNOHANG) > 0) dead++;
        taken = dead == 0;
    }
    if (taken) printf("ESCAPED: 256 MiB\n");
    return 0;
}
