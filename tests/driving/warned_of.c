// Functions that a linker warns of.
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char name[] = "/tmp/XXXXXX";
    printf("%d\n", mktemp(name) != 0 && tmpnam(0) != 0);
    return 0;
}
