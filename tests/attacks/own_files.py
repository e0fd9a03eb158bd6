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

attempt("see that it is there", lambda: os.stat(path))
attempt("read it", lambda: open(path).read())
attempt("write to it", lambda: os.close(os.open(path, os.O_WRONLY)))
attempt("cut it", lambda: os.truncate(path, os.stat(path).st_size))
attempt("change its mode", lambda: os.chmod(path, 0o600))
attempt("change its times", lambda: os.utime(path))
attempt("list what is beside it", lambda: os.listdir(directory))
attempt("make a file beside it", beside)
attempt("link to it", linked)
attempt("link to it from here", lambda: os.link(path, "linked"))
attempt("give it another name", lambda: os.rename(path, path))
attempt("remove what is beside it", lambda: os.unlink(f"{directory}/planted"))
