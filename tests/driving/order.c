// What runs before and after main, and in which order.
#include <stdio.h>
#include <stdlib.h>

__attribute__((constructor(203))) static void third(void) { puts("203"); }
__attribute__((constructor)) static void last(void) { puts("without"); }
__attribute__((constructor(101))) static void first(void) { puts("101"); }
__attribute__((constructor(102))) static void second(void) { puts("102"); }
__attribute__((destructor(101))) static void end_last(void) { puts("end 101"); }
__attribute__((destructor)) static void end_first(void) { puts("end without"); }
static void at_exit(void) { puts("at exit"); }

int main(void)
{
    atexit(at_exit);
    puts("main");
    return 3;
}
