"""Leaves something for the next at the file of the program that this process is, and learns of others by it. Outside, the
file is named by an argument."""
import ctypes, fcntl, os, sys

program = sys.argv[1] if len(sys.argv) > 1 else "/proc/self/exe"
library = ctypes.CDLL(None, use_errno=True)

def attempt(what, do):
    try:
        do()
    except OSError as error:
        # A file that runs is busy for everybody; that it is only busy means that it could be written.
        busy = error.strerror == "Text file busy"
        print(f"ESCAPED: {what}" if busy else f"blocked: {what}: {error.strerror}", flush=True)
    else:
        print(f"ESCAPED: {what}", flush=True)

def watch():
    if library.inotify_add_watch(library.inotify_init(), program.encode(), 0xfff) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def of_the_template():
    for name in os.listdir("/proc/self/map_files"):
        path = f"/proc/self/map_files/{name}"
        if "memfd" in os.readlink(path):
            os.open(path, os.O_RDONLY)

if "firebox-template" in open("/proc/self/maps").read():
    print("a copy of a template")
    attempt("the template opened", of_the_template)
attempt("its program read", lambda: open(program, "rb").read(4))
attempt("its program locked", lambda: fcntl.flock(os.open(program, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB))
attempt("its program watched", watch)
attempt("its program given a word for the next", lambda: os.setxattr(program, "user.word", b"a word"))
attempt("its program's times set", lambda: os.utime(program))
attempt("its program's mode changed", lambda: os.chmod(program, 0o777))
attempt("its program opened to write", lambda: os.open(program, os.O_RDWR))
