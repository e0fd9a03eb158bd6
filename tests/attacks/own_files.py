"""Reaches for a file of the user that it runs as. The argument is its path; what it holds stays."""
import os, sys

path = sys.argv[1]
directory = os.path.dirname(path)

def attempt(what, act):
    try:
        act()
        print(f"ESCAPED: {what}", flush=True)
    except OSError as error:
        print(f"blocked: {what}: {error.strerror}", flush=True)

def beside():
    os.close(os.open(f"{directory}/planted", os.O_CREAT | os.O_WRONLY))

def linked():
    os.link(path, f"{directory}/linked")
    os.unlink(f"{directory}/linked")

attempt("read it", lambda: open(path).read())
attempt("write to it", lambda: os.close(os.open(path, os.O_WRONLY)))
attempt("make a file beside it", beside)
attempt("link to it", linked)
attempt("remove what is beside it", lambda: os.unlink(f"{directory}/planted"))
