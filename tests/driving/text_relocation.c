// An address in what cannot be changed: linkers have something to say about it.
#include <stdio.h>

__asm__(".text\n.globl place\nplace: .quad stored\n.data\nstored: .long 5\n.text\n");
extern int *const place;

int main(void)
{
    printf("%d\n", *place);
    return 0;
}
