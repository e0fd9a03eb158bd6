// Variables of threads, with values and without; a function that may not be there.
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

extern void nowhere(void) __attribute__((weak));
static _Thread_local int own = 7;
_Thread_local long zero[100];
static atomic_int sum;

static void *work(void *argument)
{
    own += (int)(long)argument;
    zero[99] += own;
    atomic_fetch_add(&sum, own + (int)zero[99]);
    return 0;
}

int main(void)
{
    pthread_t threads[4];
    for (long n = 0; n < 4; n++) pthread_create(&threads[n], 0, work, (void *)n);
    for (int n = 0; n < 4; n++) pthread_join(threads[n], 0);
    printf("%d %d %.3f %d\n", sum, own, sqrt(2) * pow(own, 0.5) * sin(1), nowhere != 0);
    return 0;
}
