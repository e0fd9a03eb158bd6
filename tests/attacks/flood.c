// Writes 200 MiB to standard output, and as much to standard error where it is told so. Arguments: what to write, and
// `both`.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    static char block[1 << 16];
    const char *what = argc > 1 ? argv[1] : "";
    memset(block, 'x', sizeof block);
    for (size_t i = 0; i < sizeof block; i++) {
        if (!strcmp(what, "lines") && i % 64 == 63) block[i] = '\n';
        if (!strcmp(what, "no-text")) block[i] = i % 3 ? '\xff' : 0;
    }
    for (int i = 0; i < 200 << 4; i++)
        for (int stream = 1; stream <= (argc > 2 ? 2 : 1); stream++)
            for (size_t written = 0; written < sizeof block;) {
                ssize_t more = write(stream, block + written, sizeof block - written);
                if (more <= 0) return 1;
                written += more;
            }
    return 0;
}
