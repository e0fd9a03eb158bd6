#include <stdio.h>
int main(void) {
  puts("a mark and two characters at each end");
  return 0;
}
