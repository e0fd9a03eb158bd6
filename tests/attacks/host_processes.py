"""Looks for a process of the host, and at what it says of itself. Arguments: its id, and a word in its arguments."""
import os, sys

pid, word = sys.argv[1:]

def attempt(what, act):
    try:
        print(f"ESCAPED: {what}" if act() else f"blocked: {what}: nothing there", flush=True)
    except OSError as error:
        print(f"blocked: {what}: {error.strerror}", flush=True)

def others():
    try:
        numbers = os.listdir("/proc")
    except PermissionError:
        # What is not listed may be guessed.
        numbers = [str(number) for number in range(1, 100_000) if os.path.exists(f"/proc/{number}")]
    return [other for other in numbers if other.isdigit() and int(other) != os.getpid()]

def anywhere(file):
    # Where it can be seen under its own number there is no need to look at anybody else.
    for seen in [pid] if os.path.exists(f"/proc/{pid}") else others():
        try:
            if word in open(f"/proc/{seen}/{file}").read():
                return True
        except OSError:
            pass
    return False

attempt("that it is there", lambda: os.path.exists(f"/proc/{pid}"))
attempt("its program", lambda: os.readlink(f"/proc/{pid}/exe"))
attempt("its arguments", lambda: anywhere("cmdline"))
attempt("its environment", lambda: anywhere("environ"))
attempt("a signal to it", lambda: os.kill(int(pid), 0) is None and anywhere("cmdline"))
attempt("its scheduling", lambda: os.sched_getaffinity(int(pid)) and os.path.exists(f"/proc/{pid}"))
attempt("more than five processes", lambda: len(others()) > 5)
