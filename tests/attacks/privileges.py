"""Says what the program is and holds, and tries what only a privileged one may."""
import ctypes, os, stat

def say(what, escaped, why=""):
    print(f"ESCAPED: {what}" if escaped else f"blocked: {what}: {why}", flush=True)

# Asked of the kernel, because not everywhere can /proc be opened.
libc = ctypes.CDLL(None, use_errno=True)
PR_GET_SECCOMP, PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET = 21, 23, 39, 47, 1
header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert libc.capget(header, sets) == 0
for field, first in (("CapEff", 0), ("CapPrm", 1), ("CapInh", 2)):
    say(f"capabilities in {field}", sets[first] | sets[first + 3], "none")
every = range(64)
say("capabilities in CapBnd", any(libc.prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 for cap in every), "none")
say("capabilities in CapAmb", any(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1 for cap in every), "none")
say("may gain privileges by exec", libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1, "no_new_privs is set")
say("no system call filter", libc.prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 2, "a filter is set")
say("supplementary groups", len(set(os.getgroups()) - {os.getgid(), 65534}) > 0, "none")
for path in ("/", "/usr", "/tmp"):
    say(f"set-user-id counts on {path}", not os.statvfs(path).f_flag & os.ST_NOSUID, "nosuid")

def attempt(what, act):
    try:
        act()
        say(what, True)
    except OSError as error:
        say(what, False, error.strerror)

def node(kind):
    path = f"{os.environ.get('TMPDIR', '/tmp')}/node-{os.getpid()}"
    os.mknod(path, kind | 0o600, os.makedev(1, 3))
    os.unlink(path)

attempt("make a character device", lambda: node(stat.S_IFCHR))
attempt("make a block device", lambda: node(stat.S_IFBLK))

def become(user):
    child = os.fork()
    if child == 0:
        try:
            os.setresuid(user, user, user)
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, os.strerror(code))

attempt("become another user", lambda: become(12345))

for path in ("/dev/kmsg", "/dev/mem", "/dev/port", "/dev/kvm", "/dev/vda", "/dev/sda", "/dev/fuse", "/dev/net/tun"):
    attempt(f"open {path}", lambda: os.close(os.open(path, os.O_RDONLY)))

SIX = {"full", "null", "random", "tty", "urandom", "zero"}

def is_device(path):
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)

# What is not listed may be guessed.
listed = [f"{directory}/{name}" for directory, _, files in os.walk("/dev") for name in files]
guessed = [f"/dev/{name}" for name in (*SIX, "console", "kmsg", "mem", "ptmx", "tty1", "fuse")]
nodes = {path.removeprefix("/dev/") for path in listed + guessed if is_device(path)}
say("other device nodes", nodes != SIX, "exactly six")
print("device nodes:", *sorted(nodes)[:40])
