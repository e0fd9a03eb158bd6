// Writes 200 MiB of lines to standard output, then says so on standard error.
#include <stdio.h>
#include <string.h>

int main(void) {
    static char lines[1 << 20];
    for (int i = 0; i < (1 << 20); i += 64) memset(lines + i, 'x', 63), lines[i + 63] = '\n';
    for (int i = 0; i < 200; i++)
        if (fwrite(lines, 1, sizeof lines, stdout) != sizeof lines) return 1;
    fputs("ESCAPED: all of it was written\n", stderr);
    return 0;
}
