// Names of the C library for things of another kind, and of another size.
#include <stddef.h>
int puts(const char *);
long environ[8] = {1};
int stdout = 7;
int printf_calls;
char getpid[100];
int main(void) { getpid[99] = 1; puts(environ[7] == 0 && stdout == 7 ? "ours" : "theirs"); return getpid[99]; }
