"""Raises the limit of core files, crashes, and looks for one."""
import os, resource

def attempt(what, act):
    try:
        print(f"ESCAPED: {what}" if act() else f"blocked: {what}: none", flush=True)
    except (OSError, ValueError) as error:
        print(f"blocked: {what}: {error}", flush=True)

def raised():
    resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30))
    return True

def dumped():
    child = os.fork()
    if child == 0:
        os.abort()
    _, status = os.waitpid(child, 0)
    return os.WCOREDUMP(status) or [name for name in os.listdir(".") if "core" in name and name != "core.py"]

attempt("a higher core limit", raised)
attempt("a core file", dumped)
