int puts(const char *);
int main(void) { puts("a\
 b"); return 0; } // ??/
int f(void) { return 'ÿ'; }
