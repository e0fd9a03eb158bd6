"""Makes what takes long to remove one by one. With an argument it removes it itself, in the same way."""
import os, sys

DEEP, FILES = 3000, 6000
tidy = len(sys.argv) > 1

def attempt(what, act):
    try:
        act()
        print(f"ESCAPED: {what}", flush=True)
    except OSError as error:
        print(f"blocked: {what}: {error.strerror}", flush=True)

def deep():
    name = "d" * 200
    for _ in range(DEEP):
        os.mkdir(name)
        os.chdir(name)
    # Up again step by step: no path is long enough to say where this is.
    for _ in range(DEEP):
        os.chdir("..")
        if tidy:
            os.rmdir(name)

def files():
    os.mkdir("many")
    for i in range(FILES):
        os.close(os.open(f"many/{i}", os.O_CREAT | os.O_WRONLY))
    for i in range(FILES if tidy else 0):
        os.unlink(f"many/{i}")

def hole():
    os.truncate(os.open("hole", os.O_CREAT | os.O_RDWR), 1 << 40)

attempt("a hole of a terabyte", hole)
attempt("three thousand directories in each other", deep)
attempt("six thousand files", files)
