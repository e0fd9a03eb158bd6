"""Opens to write what runs it, by every name that it has. Opened, never written."""
import os, sys

def attempt(what, *paths):
    why = "nothing there"
    for path in paths:
        try:
            os.close(os.open(path, os.O_WRONLY))
            print(f"ESCAPED: {what}", flush=True)
            return
        except OSError as error:
            # A file that runs is busy for everybody; that it is only busy means that it could be written.
            if error.strerror == "Text file busy":
                print(f"ESCAPED: {what}", flush=True)
                return
            why = error.strerror
    print(f"blocked: {what}: {why}", flush=True)

attempt("the program of process 1 opened to write", "/proc/1/exe")
attempt("its own interpreter opened to write", "/proc/self/exe", os.path.realpath(sys.executable))
held = os.open("/proc/self/exe", os.O_PATH)
attempt("its own interpreter opened by descriptor", f"/proc/self/fd/{held}")
attempt("the loader opened to write", os.path.realpath("/lib64/ld-linux-x86-64.so.2"))
