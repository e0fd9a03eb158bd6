int main(void) { return 0; }
__asm__(".section .gnu.warning.main,\"\",@progbits\n.string \"main is dangerous\"\n.text\n");
