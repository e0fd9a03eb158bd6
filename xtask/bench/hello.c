#include <stdio.h>

int main(void) {
    printf("hello %d\n", @SEED@);
    return 0;
}
