// The addresses that a linker's script gives names to.
#include <stdio.h>

extern char etext, edata, end, __bss_start, __executable_start;
static int zero;
static int set = 1;

int main(void)
{
    printf("%d %d %d\n", (char *)main < &etext, (char *)&set < &edata, (char *)&zero < &end);
    printf("%d %d\n", &__executable_start < &etext, &__bss_start <= (char *)&zero);
    return zero;
}
