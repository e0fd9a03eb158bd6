#include <stdio.h>

int main(void) {
    const double numbers[] = {1, 2, 3, 4};
    const int count = sizeof numbers / sizeof *numbers;
    double sum = 0;
    for (int i = 0; i < count; i++) sum += numbers[i];
    printf("the average of %d numbers is %.2f\n", count, sum / count);
}
