// Takes 256 MiB in the way its argument names, and touches all of it.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
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

int main(int argc, char **argv) {
    const char *way = argc > 1 ? argv[1] : "";
    size_t all = (size_t)BLOCK * BLOCKS;
    int taken = 0;
    memset(block, 1, BLOCK);
    printf("before taking memory by %s\n", way);
    fflush(stdout);
    if (!strcmp(way, "heap")) taken = touch(malloc(all), way);
    if (!strcmp(way, "shared")) taken = touch(mmap(0, all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), way);
    if (!strcmp(way, "memfd")) {
        int fd = memfd_create("x", 0);
        taken = fd < 0 ? blocked(way) : fill(fd, way);
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
    // Sixteen processes, none of which takes much by itself.
    if (!strcmp(way, "children")) {
        for (int i = 0; i < 16; i++)
            if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                char *memory = malloc(all / 16);
                for (size_t j = 0; j < all / 16; j += 4096) memory[j] = 1;
                pause();
            }
        // The children hold it until somebody has looked: a moment is enough for the kernel to say no.
        usleep(1000000);
        int status, dead = 0;
        while (waitpid(-1, &status, WNOHANG) > 0) dead++;
        taken = dead == 0;
    }
    if (taken) printf("ESCAPED: 256 MiB\n");
    return 0;
}
