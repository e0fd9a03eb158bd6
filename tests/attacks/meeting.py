"""Two programs that want to meet: one takes everything by names that both know, the other looks for it.

Arguments: `hold` or `look`, or `both` to be one and then the other; a directory for files; and the name.
"""
import ctypes, errno, fcntl, os, select, signal, socket, sys, time

role, directory, name = sys.argv[1:]
key = sum(name.encode()) + 0x4D650000
libc = ctypes.CDLL(None, use_errno=True)
interpreter = os.path.realpath(sys.executable)
files = {"a file": f"{directory}/{name}", "a file in shared memory": f"/dev/shm/{name}"}
locked = {"the toolchain": interpreter, "the toolchain's directory": os.path.dirname(interpreter), "a device": "/dev/null"}
IPC_CREAT, IN_OPEN, IN_NONBLOCK = 0o1000, 0x20, 0o4000


def checked(answer):
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer


def system_v(flags):
    """Shared memory, a semaphore, a queue of messages."""
    return {
        "System V shared memory": lambda: checked(libc.shmget(key, 4096, flags)),
        "a System V semaphore": lambda: checked(libc.semget(key, 1, flags)),
        "a System V queue": lambda: checked(libc.msgget(key, flags)),
    }


def hold():
    kept = []
    for path in files.values():
        kept.append(open(path, "w+"))
        fcntl.lockf(kept[-1], fcntl.LOCK_EX)
    for path in locked.values():
        kept.append(os.open(path, os.O_RDONLY))
        fcntl.flock(kept[-1], fcntl.LOCK_EX)
    for take in system_v(IPC_CREAT | 0o666).values():
        take()
    if libc.mq_open(f"/{name}".encode(), os.O_CREAT | os.O_RDWR, 0o666, None) < 0:
        # Landlock knows of no rule for the file system that queues are in.
        print("no POSIX queue:", os.strerror(ctypes.get_errno()), file=sys.stderr)
    kept.append(socket.socket(socket.AF_UNIX))
    kept[-1].bind(f"\0{name}")
    kept[-1].listen()
    print("held", flush=True)
    # What is watched has to be used.
    while True:
        for path in [interpreter, "/dev/null"]:
            os.close(os.open(path, os.O_RDONLY))
        time.sleep(0.02)


def attempt(what, look):
    try:
        look()
        print("ESCAPED:", what)
    except OSError as error:
        print(f"blocked: {what}: {error.strerror}")


def is_locked(lock, path, mode):
    file = os.open(path, mode)
    try:
        lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    finally:
        os.close(file)
    raise OSError(errno.ENOLCK, "nobody has locked it")


def is_used(path):
    watch = checked(libc.inotify_init1(IN_NONBLOCK))
    checked(libc.inotify_add_watch(watch, path.encode(), IN_OPEN))
    if not select.select([watch], [], [], 1)[0]:
        raise OSError(errno.ETIMEDOUT, "nobody uses it")


def look():
    for what, path in files.items():
        attempt(what, lambda: os.close(os.open(path, os.O_RDONLY)))
        attempt(f"a lock on {what}", lambda: is_locked(fcntl.lockf, path, os.O_RDWR))
    for what, path in locked.items():
        attempt(f"a lock on {what}", lambda: is_locked(fcntl.flock, path, os.O_RDONLY))
    for what, path in [("the toolchain", interpreter), ("a device", "/dev/null")]:
        attempt(f"watching {what}", lambda: is_used(path))
    for what, find in system_v(0).items():
        attempt(what, find)
    attempt("a POSIX queue", lambda: checked(libc.mq_open(f"/{name}".encode(), os.O_RDWR)))
    attempt("an abstract socket", lambda: socket.socket(socket.AF_UNIX).connect(f"\0{name}"))


if role == "both":
    ready, told = os.pipe()
    holder = os.fork()
    if holder == 0:
        os.dup2(told, 1)
        hold()
    assert os.fdopen(ready, "rb").readline() == b"held\n"
    try:
        look()
    finally:
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
        for path in files.values():
            os.unlink(path)
elif role == "hold":
    hold()
else:
    look()
