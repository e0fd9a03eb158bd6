int puts(const char *);
int main(void) { __asm__(".warning \"from the assembler\""); puts("ran"); return 0; }
