#include <stdio.h>
#warning "this is a warning"

int main(void)
{
    int number = "text";
    printf("%s\n", number != 0 ? "not zero" : 5);
    exit(abs(3));
}
