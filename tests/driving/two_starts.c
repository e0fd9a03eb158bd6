int printf(const char *, ...);
void _start(void) {}
int main(void) { return 0; }
