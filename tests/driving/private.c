// A function that only the C library itself is to call.
void *__libc_dlopen_mode(const char *, int);
extern int __libc_enable_secure;
int puts(const char *);
int main(void) { puts(__libc_enable_secure ? "secure" : "plain"); return 0; }
