"""Writes where a job has no business. What it makes it removes; existing files are opened, never written."""
import os, sys

def attempt(what, act):
    try:
        act()
        print(f"ESCAPED: {what}", flush=True)
    except OSError as error:
        print(f"blocked: {what}: {error.strerror}", flush=True)

def make_file(directory):
    path = f"{directory}/planted-by-a-test"
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    os.unlink(path)

def make_link(directory):
    path = f"{directory}/linked-by-a-test"
    os.symlink("/etc/passwd", path)
    os.unlink(path)

for directory in sys.argv[1:]:
    attempt(f"a file in {directory}", lambda: make_file(directory))
    attempt(f"a link in {directory}", lambda: make_link(directory))
for path in ("/etc/passwd", "/usr/bin/env", "/proc/sys/kernel/core_pattern", "/proc/1/oom_score_adj"):
    attempt(f"{path} opened to write", lambda: os.close(os.open(path, os.O_WRONLY)))
attempt("the mode of /usr", lambda: os.chmod("/usr", os.stat("/usr").st_mode & 0o7777))
attempt("the owner of /usr", lambda: os.chown("/usr", os.stat("/usr").st_uid, os.stat("/usr").st_gid))
attempt("a lower oom score", lambda: open("/proc/self/oom_score_adj", "w").write("-500"))
attempt("a higher priority", lambda: os.setpriority(os.PRIO_PROCESS, 0, -10))
