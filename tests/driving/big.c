#include <stdio.h>
int main(void) { static char big[64 << 20]; big[5 << 20] = 1; printf("%d\n", big[5 << 20]); return 0; }
