#include <cstdio>

int main() {
    std::printf("hello %d\n", @SEED@);
}
