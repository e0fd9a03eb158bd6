__asm__(".globl twice\ntwice: ret\n");
int twice(void) { return 0; }
int main(void) { return twice(); }
