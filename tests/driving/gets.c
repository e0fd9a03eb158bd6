#include <stdio.h>
char *gets(char *);
int main(void)
{
    char line[100];
    puts(gets(line) ? line : "nothing");
    return 0;
}
