int puts(const char *);
int main(void) {
#pragma once
#pragma message "said"
#pragma GCC warning "warned"
  puts("é€"); return 0; }