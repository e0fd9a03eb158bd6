#include <stdio.h>
#pragma weak absent
extern int absent;
int main(void) { printf("%d\n", &absent == 0); return 0; }
