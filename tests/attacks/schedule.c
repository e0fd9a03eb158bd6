// Has its parent step back in the schedule: the agent inside, a shell that stands for it outside. The kernel looks at
// the low half of a process number only, so each is tried with something in the high half too.
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void result(const char *what, long answer) {
    if (answer >= 0) printf("ESCAPED: %s\n", what);
    else printf("blocked: %s: %m\n", what);
    fflush(stdout);
}

int main(void) {
    const unsigned long high = 1ul << 32, agent = (unsigned long)getppid(), high_agent = high | agent;
    struct sched_param nothing = {0};
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    sched_getaffinity((pid_t)agent, sizeof cpus, &cpus);
    // size, policy, flags, nice, priority, runtime, deadline, period.
    struct { unsigned size, policy; unsigned long flags; int nice; unsigned priority; unsigned long times[3]; }
        attributes = {48, SCHED_BATCH, 0, 1, 0, {0}};

    result("setpriority", syscall(SYS_setpriority, PRIO_PROCESS, agent, 1));
    result("setpriority with a high half", syscall(SYS_setpriority, PRIO_PROCESS, high_agent, 2));
    result("setpriority of a high kind", syscall(SYS_setpriority, PRIO_PROCESS | high, agent, 3));
    result("setpriority of its group", syscall(SYS_setpriority, PRIO_PGRP, getpgid((pid_t)agent), 4));
    result("setpriority of its user", syscall(SYS_setpriority, PRIO_USER, 0, 5));
    result("sched_setaffinity", syscall(SYS_sched_setaffinity, agent, sizeof cpus, &cpus));
    result("sched_setaffinity with a high half", syscall(SYS_sched_setaffinity, high_agent, sizeof cpus, &cpus));
    result("sched_setparam", syscall(SYS_sched_setparam, agent, &nothing));
    result("sched_setparam with a high half", syscall(SYS_sched_setparam, high_agent, &nothing));
    result("sched_setscheduler", syscall(SYS_sched_setscheduler, agent, SCHED_BATCH, &nothing));
    result("sched_setscheduler with a high half", syscall(SYS_sched_setscheduler, high_agent, SCHED_BATCH, &nothing));
    result("sched_setattr", syscall(SYS_sched_setattr, agent, &attributes, 0));
    result("ioprio_set", syscall(SYS_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, agent, 3 << 13 /* idle */));
    return 0;
}
