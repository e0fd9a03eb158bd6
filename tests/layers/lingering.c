// A compiler that leaves a process behind, and the program that it makes: a copy of itself, which looks for that process.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

static int program(int lock) {
    puts("trying");
    // Somebody holds it: then somebody lives.
    if (fcntl(lock, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK) puts("ESCAPED");
    return 0;
}

static int compiler(const char *self, int lock) {
    char block[65536];
    ssize_t length;
    int from = open(self, O_RDONLY), to = open("runbin", O_WRONLY | O_CREAT | O_TRUNC, 0755), ready[2];
    while ((length = read(from, block, sizeof block)) > 0)
        if (write(to, block, length) != length) return 1;
    close(to);
    if (length < 0 || pipe(ready)) return 1;
    if (fork() == 0) {
        setsid();
        fcntl(lock, F_SETLK, &whole);
        if (write(ready[1], "x", 1) != 1) return 1;
        for (;;) pause();
    }
    return read(ready[0], block, 1) == 1 ? 0 : 1;
}

int main(int argc, char **argv) {
    (void)argc;
    int lock = open("lock", O_RDWR | O_CREAT, 0600);
    return strstr(argv[0], "runbin") ? program(lock) : compiler(argv[0], lock);
}
