// Code in assembly language, in a section of its own too.
#include <stdio.h>

__asm__(".globl answer\n.type answer,@function\nanswer: mov $42, %eax\nret\n.size answer, .-answer\n");
__asm__(".pushsection .text.mine,\"ax\",@progbits\n.globl other\nother: mov $1, %eax\nret\n.popsection\n");
int answer(void);
int other(void);

int main(void)
{
    printf("%d %d\n", answer(), other());
    return 0;
}
