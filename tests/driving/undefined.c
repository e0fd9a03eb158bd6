int missing(void);
extern int nowhere;
int main(void) { return missing() + nowhere; }
