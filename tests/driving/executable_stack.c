// A function within a function that is passed on: its stack must be executable, and the linker says so.
#include <stdio.h>

static int apply(int (*function)(int)) { return function(20); }

int main(void)
{
    int more = 22;
    int add(int number) { return number + more; }
    printf("%d\n", apply(add));
    return 0;
}
