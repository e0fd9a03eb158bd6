"""What the agent may do for tools that it starts ahead and a job may not, tried by a tool that was started ahead."""
import ctypes, os, signal, struct

library = ctypes.CDLL(None, use_errno=True)
PTRACE, PRCTL, PRLIMIT, READ, SECCOMP = 101, 157, 302, 310, 317
MAPS = open("/proc/self/maps").read()

def result(what, answer):
    why = os.strerror(ctypes.get_errno())
    print(f"ESCAPED: {what}" if answer >= 0 else f"blocked: {what}: {why}", flush=True)

def call(number, *arguments):
    return library.syscall(ctypes.c_long(number), *[ctypes.c_ulong(argument) for argument in arguments])

def own_bounds():
    """This process's own, as `struct prctl_mm_map` has them: to set them changes nothing."""
    after = open("/proc/self/stat").read().rsplit(")", 1)[1].split()
    field = lambda number: int(after[number - 3])
    library.sbrk.restype = ctypes.c_void_p
    code = [field(number) for number in (26, 27, 45, 46, 47)]
    ends = [field(number) for number in (28, 48, 49, 50, 51)]
    return struct.pack("=11QQIi", *code, library.sbrk(ctypes.c_long(0)), *ends, 0, 0, -1)

if "firebox-template" in MAPS:
    print("a copy of a template")

word = ctypes.create_string_buffer(8)
here = (ctypes.c_ulong * 2)(ctypes.addressof(word), 8)
there = (ctypes.c_ulong * 2)(ctypes.addressof(word), 8)
at = ctypes.addressof
result("memory read by process_vm_readv", call(READ, os.getpid(), at(here), 1, at(there), 1, 0))

child = os.fork()
if child == 0:
    signal.pause()
SEIZE, TRACEME = 0x4206, 0
result("its own child traced", call(PTRACE, SEIZE, child, 0, 0))
new = (ctypes.c_ulong * 2)(64, 64)
NOFILE = 7
result("its own child's limits set", call(PRLIMIT, child, NOFILE, at(new), 0))
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)

bounds = ctypes.create_string_buffer(own_bounds(), 104)
SET_MM, SET_MM_MAP = 35, 14
result("where its parts are changed", call(PRCTL, SET_MM, SET_MM_MAP, at(bounds), 104, 0))

reading, writing = os.pipe()
if os.fork() == 0:
    # Where it came through, nobody else is under the filter.
    allow = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7fff0000), 8)
    program = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", 1, at(allow)), 16)
    NO_NEW_PRIVS, SET_MODE_FILTER = 38, 1
    call(PRCTL, NO_NEW_PRIVS, 1, 0, 0, 0)
    result("a filter on system calls put on", call(SECCOMP, SET_MODE_FILTER, 0, at(program)))
    result("being traced", call(PTRACE, TRACEME, 0, 0, 0))
    os._exit(0)
os.wait()

# Of what the agent had mapped and open as it became this process.
def memory_of_the_agent():
    for line in MAPS.splitlines():
        addresses, permissions = line.split()[:2]
        if "w" in permissions and "x" in permissions:
            return 0
    ctypes.set_errno(1)
    return -1

result("code that can be written", memory_of_the_agent())
left = [name for name in os.listdir("/proc/self/fd") if int(name) > 2 and os.path.exists(f"/proc/self/fd/{name}")]
left = [name for name in left if int(name) not in (reading, writing)]
ctypes.set_errno(9)
result("a descriptor that was left open", 0 if left else -1)
