"""Reaches for what the same user has on the host. Arguments: the directory that `fence_neighbour.py` has filled, the two
ports and the process id that it told."""
import ctypes, fcntl, os, resource, signal, socket, struct, sys

place, tcp, udp, neighbour = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
secret = f"{place}/secret"
libc = ctypes.CDLL(None, use_errno=True)


def attempt(what, action):
    try:
        action()
        print(f"ESCAPED: {what}", flush=True)
    except OSError as error:
        print(f"blocked: {what}: {error.strerror}", flush=True)


def call(number, *arguments):
    words = [argument if isinstance(argument, (bytes, ctypes._SimpleCData)) else ctypes.c_long(argument) for argument in arguments]
    result = libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def within(directory, action):
    descriptor = os.open(directory, os.O_PATH)
    try:
        action(descriptor)
    finally:
        os.close(descriptor)


def send(family, kind, address):
    with socket.socket(family, kind) as sender:
        if kind == socket.SOCK_DGRAM:
            sender.sendto(b"x", address)
        else:
            sender.connect(address)


def send_from_pair(address):
    one, _other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"x", address)


def through_descriptor(path, action):
    within(path, lambda descriptor: action(f"/proc/self/fd/{descriptor}"))


# Files.
attempt("read a file", lambda: open(secret).read())
attempt("read it from its directory", lambda: within(place, lambda d: os.close(os.open("secret", os.O_RDONLY, dir_fd=d))))
attempt("read it through a path descriptor", lambda: through_descriptor(secret, lambda path: open(path).read()))
attempt("list a directory", lambda: os.listdir(place))
attempt("write to a file", lambda: open(secret, "a").close())
attempt("make a file", lambda: open(f"{place}/made", "w").close())
attempt("make a directory", lambda: os.mkdir(f"{place}/made-too"))
attempt("make a file in /dev/shm", lambda: os.close(os.open(f"/dev/shm/e2e-{os.getpid()}", os.O_CREAT | os.O_WRONLY)) or os.unlink(f"/dev/shm/e2e-{os.getpid()}"))
attempt("link a file", lambda: os.link(secret, "linked"))
attempt("link it through a path descriptor", lambda: through_descriptor(secret, lambda path: call(265, -100, path.encode(), -100, b"linked-too", 0x400)))
attempt("link it elsewhere", lambda: os.link(secret, f"{place}/linked-there"))
attempt("rename a file", lambda: os.rename(f"{place}/removable", f"{place}/renamed"))
attempt("remove a file", lambda: os.unlink(f"{place}/renamed" if os.path.exists(f"{place}/renamed") else f"{place}/removable"))
attempt("change a file's length", lambda: os.truncate(secret, os.stat(secret).st_size))
attempt("change a mode", lambda: os.chmod(secret, 0o600))
attempt("change a mode in its directory", lambda: within(place, lambda d: os.chmod("secret", 0o600, dir_fd=d)))
attempt("change a mode through a path descriptor", lambda: through_descriptor(secret, lambda path: os.chmod(path, 0o600)))
attempt("change a mode by fchmodat2", lambda: call(452, -100, secret.encode(), 0o600, 0))
attempt("change an owner", lambda: os.chown(secret, os.getuid(), os.getgid()))
attempt("set times", lambda: os.utime(secret, (1, 1)))
attempt("set times through a path descriptor", lambda: through_descriptor(secret, lambda path: os.utime(path)))
attempt("set an attribute", lambda: os.setxattr(secret, "user.e2e", b"x"))
attempt("list attributes", lambda: os.listxattr(secret))
attempt("read an attribute", lambda: os.getxattr(secret, "user.e2e"))
attempt("execute a file", lambda: os.posix_spawn(f"{place}/program", ["program"], {}))
attempt("write to a fifo", lambda: os.close(os.open(f"{place}/fifo", os.O_WRONLY | os.O_NONBLOCK)))
attempt("watch a directory", lambda: call(254, call(253), place.encode(), 0x100))
attempt("be told of a directory", lambda: fcntl.fcntl(os.open(place, os.O_RDONLY), fcntl.F_NOTIFY, fcntl.DN_CREATE))
attempt("lease a file", lambda: fcntl.fcntl(os.open(secret, os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK))
attempt("lock a file", lambda: fcntl.flock(os.open(secret, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB))

# Sockets and shared memory.
attempt("connect to a socket file", lambda: send(socket.AF_UNIX, socket.SOCK_STREAM, f"{place}/stream"))
attempt("send to a socket file", lambda: send(socket.AF_UNIX, socket.SOCK_DGRAM, f"{place}/datagrams"))
attempt("send to a socket file from a pair", lambda: send_from_pair(f"{place}/datagrams"))
attempt("connect to an abstract socket", lambda: send(socket.AF_UNIX, socket.SOCK_STREAM, f"\0e2e-{place}"))
attempt("send to an abstract socket from a pair", lambda: send_from_pair(f"\0e2e-d-{place}"))
attempt("connect by TCP", lambda: send(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", tcp)))
attempt("send by UDP", lambda: send(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", udp)))
attempt("ask the kernel by netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close())
attempt("make shared memory", lambda: call(31, call(29, 0, 4096, 0o1600), 0, 0))
attempt("make a message queue", lambda: call(241, call(240, f"e2e-{os.getpid()}".encode(), 0o102, 0o600, 0) and f"e2e-{os.getpid()}".encode()))

# The process.
attempt("its environment", lambda: open(f"/proc/{neighbour}/environ", "rb").read())
attempt("its command line", lambda: open(f"/proc/{neighbour}/cmdline").read())
attempt("its memory", lambda: open(f"/proc/{neighbour}/mem", "rb").close())
attempt("its working directory", lambda: os.readlink(f"/proc/{neighbour}/cwd"))
attempt("its descriptors", lambda: os.listdir(f"/proc/{neighbour}/fd"))
attempt("the list of processes", lambda: os.listdir("/proc"))
attempt("one of its descriptors", lambda: os.close(call(438, os.pidfd_open(neighbour), 0, 0)))
attempt("step it back in the schedule", lambda: os.setpriority(os.PRIO_PROCESS, neighbour, 1))
attempt("step the user back in the schedule", lambda: os.setpriority(os.PRIO_USER, os.getuid(), 1))
attempt("move it to a CPU", lambda: os.sched_setaffinity(neighbour, {0}))
attempt("change its policy", lambda: os.sched_setscheduler(neighbour, os.SCHED_BATCH, os.sched_param(0)))
attempt("change its limits", lambda: resource.prlimit(neighbour, resource.RLIMIT_CORE, (0, 0)))
attempt("own a descriptor for it", lambda: fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, neighbour))
attempt("ask whether it can be signalled", lambda: os.kill(neighbour, 0))
attempt("let it go on", lambda: os.kill(neighbour, signal.SIGCONT))
attempt("signal its process group", lambda: os.killpg(os.getpgid(neighbour), signal.SIGCONT))
attempt("signal its thread", lambda: call(234, neighbour, neighbour, int(signal.SIGCONT)))
attempt("signal it by descriptor", lambda: signal.pidfd_send_signal(os.pidfd_open(neighbour), signal.SIGCONT))
attempt("queue a signal", lambda: call(129, neighbour, int(signal.SIGCONT), struct.pack("iii", int(signal.SIGCONT), 0, -1) + bytes(116)))
attempt("kill it", lambda: os.kill(neighbour, signal.SIGKILL))
