"""Lists what is open. A program has its three streams, and nothing that somebody forgot to close."""
import os

mine = os.open(".", os.O_RDONLY)
for fd in range(3, 4096):
    try:
        os.fstat(fd)
    except OSError:
        continue
    if fd != mine:
        print(f"ESCAPED: an inherited descriptor\nit is {fd}, {os.readlink(f'/proc/self/fd/{fd}')}")
        break
else:
    print("blocked: an inherited descriptor: none is open")
