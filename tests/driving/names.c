// What the preprocessor knows of the file and of how it got here.
#include <stdio.h>

#ifdef again
static const char *within(void) { return __FILE__; }
static const int level = __INCLUDE_LEVEL__;
#else
#define again
#include __FILE__

int main(void)
{
    printf("%s %s %d %d %d %s\n", __FILE__, __BASE_FILE__, __LINE__, __INCLUDE_LEVEL__, __COUNTER__, __func__);
    printf("%s %d %ld %d %s\n", within(), level, __STDC_VERSION__, __GNUC__, __VERSION__);
#ifdef _REENTRANT
    puts("threads");
#endif
    return 0;
}
#endif
