"""Looks for files on file systems of the host, and for devices that are the host's own. Arguments: the numbers of the
host's devices."""
import os, stat, sys

theirs = {int(number) for number in sys.argv[1:]}
looked = 0

def look(path, devices=False):
    global looked
    try:
        found = os.lstat(path)
    except OSError:
        return False
    if devices != stat.S_ISCHR(found.st_mode):
        return False
    looked += 1
    if found.st_dev in theirs:
        what = "a device of the host's" if devices else "a file of the host's file systems"
        print(f"ESCAPED: {what}\nit is {path} on {found.st_dev}", flush=True)
    return found.st_dev in theirs

def anywhere(top):
    for directory, below, files in os.walk(top):
        if any(look(f"{directory}/{name}") for name in ["", *below, *files]):
            return True
    return False

def names(directory, known):
    """What is in there; where that is not told, what every host has there."""
    try:
        return sorted(os.listdir(directory))
    except PermissionError:
        return known

# Those of /proc are the kernel's.
tops = [f"/{name}" for name in names("/", ["bin", "etc", "lib", "usr", "var"]) if name not in ("proc", "sys")]
if not look("/") and not any(anywhere(top) for top in tops):
    print(f"blocked: a file of the host's file systems: none of {looked} is one")
if not any(look(f"/dev/{name}", devices=True) for name in names("/dev", ["full", "null", "zero"])):
    print("blocked: a device of the host's: none is one")
