// And such variables.
extern int sys_nerr;
extern char *loc1;
int main(void) { return sys_nerr + (loc1 != 0); }
