// Stops whatever it may: its children, its parent, its group, everyone, and in the end itself.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void) {
    // Where Linux numbers its first PID namespace this would stop the whole machine.
    char link[64] = {0};
    if (readlink("/proc/self/ns/pid", link, sizeof link - 1) < 0 || !strcmp(link, "pid:[4026531836]")) {
        puts("ESCAPED: into the host's PID namespace");
        return 1;
    }
    pid_t children[3];
    for (int i = 0; i < 3; i++)
        if ((children[i] = fork()) == 0)
            for (;;) pause();
    puts("before the signals");
    fflush(stdout);
    for (int i = 0; i < 3; i++) kill(children[i], SIGSTOP);
    kill(getppid(), SIGSTOP);
    kill(-1, SIGSTOP);
    kill(0, SIGSTOP);
    raise(SIGSTOP);
    for (;;) pause();
}
