// The C library calls a program's own functions in place of its own.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char room[1 << 16];
static size_t used;
static int calls;

void *malloc(size_t bytes)
{
    calls++;
    void *at = room + used;
    used += (bytes + 15) & ~(size_t)15;
    return at;
}

void free(void *at) { (void)at; }

int main(void)
{
    char *copy = strdup("copied");
    write(1, copy, 6);
    write(1, calls ? " by ours\n" : " by theirs\n", calls ? 9 : 11);
    return 0;
}
