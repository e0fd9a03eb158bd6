// Data of the C library, taken for a function and the other way round.
extern int printf;
int stdin(void);
int puts(const char *);
int main(void) { puts(&printf != 0 && stdin != 0 ? "there" : "gone"); return 0; }
