"""Reads the host's files, through plain paths and through whatever /proc offers.

Arguments: a file of the host, the words it holds, and after that words that only the host knows (paths, its name).
"""
import os, re, sys

secret_file, secret, *words = sys.argv[1:]

def attempt(what, act):
    try:
        found = act()
        print(f"ESCAPED: {what}" if found else f"blocked: {what}: nothing there", flush=True)
    except OSError as error:
        print(f"blocked: {what}: {error.strerror}", flush=True)

attempt("see that a file of the host is there", lambda: os.stat(secret_file).st_size)
attempt("read a file of the host", lambda: secret in open(secret_file).read())
attempt("read /etc/shadow", lambda: "root:" in open("/etc/shadow").read())
attempt("list /root", lambda: os.listdir("/root"))
attempt("list /sys", lambda: os.listdir("/sys/class"))
for root in ("/proc/1/root", "/proc/self/root/..", "/proc/self/cwd/../../../../../../.."):
    attempt(f"read through {root}", lambda: secret in open(root + secret_file).read())

def mounted_from_host():
    """Field 4 of mountinfo is a path in the file system that was mounted: a host path, if nobody hides it."""
    lines = open("/proc/self/mountinfo").read()
    return [line for line in lines.splitlines() if any(word in line for word in words)]

attempt("a host path in mountinfo", mounted_from_host)

def said_in_proc():
    """Everything readable below /proc, large and endless files cut."""
    # Our own arguments hold the words. A short word is found everywhere.
    long_words = [word for word in words if len(word) > 3]
    own = {f"/proc/{name}/{file}" for name in ("self", "thread-self", os.getpid()) for file in ("cmdline", "environ", "mem")}
    found = set()
    for directory, below, files in os.walk("/proc"):
        below[:] = [name for name in below if name not in ("task", "map_files", "fd", "cwd", "root", "self", "thread-self")]
        for path in (f"{directory}/{name}" for name in files):
            # The interpreter itself is no secret, and names the place it was built for.
            if path in own or path.endswith(("/exe", "kmsg", "/mem", "kcore", "/pagemap", "trace_pipe", "/clear_refs")):
                continue
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                try:
                    text = os.read(descriptor, 1 << 20).decode(errors="replace")
                finally:
                    os.close(descriptor)
            except OSError:
                continue
            found |= {path for word in long_words if re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", text)}
    if found:
        print("found in", sorted(found)[:20])
    return found

attempt("a word of the host in /proc", said_in_proc)
attempt("the host's name", lambda: os.uname().nodename in words)
