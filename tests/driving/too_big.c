// Too long for a jump that is near.
int puts(const char *);
static char big[3u << 30];
int main(void) { big[2u << 30] = 1; puts("big"); return 0; }
