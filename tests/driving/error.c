#error "no"
int main(void) { return 0; }
