// A common variable, as older code has it.
#include <stdio.h>

__attribute__((common)) int common_one;
__attribute__((common)) double common_two[5];

int main(void)
{
    common_two[4] = 2;
    printf("%d %g\n", common_one, common_two[4]);
    return 0;
}
