// Several names for one thing, hidden things, and several versions of one.
#include <stdio.h>

int visible(void) { return 4; }
extern int also(void) __attribute__((alias("visible")));
__attribute__((visibility("hidden"))) int hidden = 3;
__attribute__((weak)) int may_be(void) { return 2; }
static int chosen(void) { return 1; }
static int (*choose(void))(void) { return chosen; }
int indirect(void) __attribute__((ifunc("choose")));

int main(void)
{
    printf("%d %d %d %d\n", also(), hidden, may_be(), indirect());
    return 0;
}
