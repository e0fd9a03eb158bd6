// Variables of the C library that have several names are one variable.
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
extern char **__environ;
extern int daylight;

int main(int argc, char **argv)
{
    setenv("A", "b", 1);
    int found = 0;
    for (char **at = environ; *at; at++) found += (*at)[0] == 'A' && (*at)[1] == '=';
    char *words[] = {"name", "-x", "rest", 0};
    int option = getopt(3, words, "x");
    setenv("TZ", "CET-1CEST", 1);
    tzset();
    printf("%d %d %c %d %d %s %s\n", found, environ == __environ, option, optind, daylight, tzname[0], tzname[1]);
    environ = 0;
    printf("%d %s\n", __environ == 0, getenv("A") ? "there" : "gone");
    fprintf(stderr, "%s %d\n", program_invocation_short_name, argc);
    return stdout == stderr;
}
