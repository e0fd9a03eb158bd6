"""Looks for files on file systems of the host. Arguments: the numbers of its devices."""
import os, sys

theirs = {int(number) for number in sys.argv[1:]}
looked = 0

def look(path):
    global looked
    try:
        device = os.lstat(path).st_dev
    except OSError:
        return False
    looked += 1
    if device in theirs:
        print(f"ESCAPED: a file of the host's file systems\nit is {path} on {device}", flush=True)
    return device in theirs

def anywhere(top):
    for directory, below, files in os.walk(top):
        if any(look(f"{directory}/{name}") for name in ["", *below, *files]):
            return True
    return False

# Those of /proc are the kernel's.
tops = sorted(f"/{name}" for name in os.listdir("/") if name not in ("proc", "sys"))
if not look("/") and not any(anywhere(top) for top in tops):
    print(f"blocked: a file of the host's file systems: none of {looked} is one")
