/* Stands in for Node: a tool that asks at its start on which CPUs it may be, and again when it has its program. With CHOOSES it says by itself where it
   wants to be, in between. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static void may_be_on(const char *when, const cpu_set_t *set)
{
    printf("%s:", when);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, set))
            printf(" %d", cpu);
    puts("");
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--version"))
        return puts("v20.0.0") < 0;
    cpu_set_t early, late;
    if (sched_getaffinity(0, sizeof early, &early))
        return 1;
#ifdef CHOOSES
    cpu_set_t chosen;
    CPU_ZERO(&chosen);
    for (int cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&chosen); cpu++)
        if (CPU_ISSET(cpu, &early))
            CPU_SET(cpu, &chosen);
    if (sched_setaffinity(0, sizeof chosen, &chosen))
        return 2;
#endif
    if (open(argv[argc - 1], O_RDONLY) < 0)
        return 3;
    if (sched_getaffinity(0, sizeof late, &late))
        return 4;
    may_be_on("early", &early);
    may_be_on("late", &late);
    return 0;
}
