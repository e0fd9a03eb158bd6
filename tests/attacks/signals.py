"""Kills whatever it may: a process of the host by number, then its parent, then everyone. Argument: that process."""
import os, signal, sys

# Where Linux numbers its first PID namespace, these signals would end the whole machine: that this program got there
# is all that a test needs to know.
if os.readlink("/proc/self/ns/pid") == "pid:[4026531836]":
    print("ESCAPED: into the host's PID namespace")
    sys.exit(1)

bystander = int(sys.argv[1])
print("before the signals", flush=True)
for what, target in (("a bystander", bystander), ("the parent", os.getppid())):
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(target, number)
        except OSError as error:
            print(f"blocked: {what}: {error.strerror}", flush=True)
try:
    os.kill(-1, signal.SIGKILL)
except OSError as error:
    print(f"blocked: everyone: {error.strerror}", flush=True)
print("after the signals", flush=True)
