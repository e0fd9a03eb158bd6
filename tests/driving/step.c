// A function of the C library that only programs from long ago still find.
int step(const char *, const char *);
int main(void) { return step("a", "a"); }
