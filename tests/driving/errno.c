// A variable of threads, taken for an ordinary one.
extern int errno;
int main(void) { return errno; }
