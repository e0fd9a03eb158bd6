// Data of every kind: zero, set, constant, full of addresses, aligned, and in a section of its own.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int zero[1000];
static int set[3] = {1, 2, 3};
static const char *const names[] = {"one", "two"};
static int (*const functions[])(const char *) = {puts, atoi};
__attribute__((aligned(256))) static char aligned[3];
__attribute__((section("mine"))) int own = 5;
int common;
extern int mine_begins __asm__("__start_mine");
static __int128 wide;
static const double numbers[] = {1.5, 2.5};

struct list { struct list *next; int number; } c = {0, 3}, b = {&c, 2}, a = {&b, 1};

int main(void)
{
    wide = (__int128)1 << 100;
    functions[0](names[1]);
    int sum = functions[1]("41") + zero[999] + set[2] + common + mine_begins;
    for (struct list *at = &a; at; at = at->next) sum += at->number;
    printf("%d %d %g %d\n", sum, (int)((uintptr_t)aligned % 256), numbers[1], (int)(wide >> 98));
    printf("%d\n", dlsym(RTLD_DEFAULT, "main") != 0);
    char text[64];
    strcpy(text, "é");
    return (int)strlen(text);
}
