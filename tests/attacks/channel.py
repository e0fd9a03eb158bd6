"""Two programs that look for each other. Arguments: `hold` or `meet`, a mark that both know, and for `meet` the number and
the directory of the process that holds."""
import ctypes, fcntl, os, select, signal, socket, struct, sys, time

role, mark = sys.argv[1:3]
number = int(mark)
PORT = 20_000 + number % 20_000
libc = ctypes.CDLL(None, use_errno=True)
# Files that every cell has.
SHARED, DIRECTORY = "/usr/bin/env", "/usr/bin"
POSIX_LOCK = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)

held = []

def listening():
    name = socket.socket(socket.AF_UNIX)
    held.append(name)
    name.bind(f"\0channel-{mark}")
    name.listen()

def made(path):
    open(path, "w").close()

def fifo():
    os.mkfifo(f"/tmp/fifo-{mark}")
    held.append(os.open(f"/tmp/fifo-{mark}", os.O_RDWR))

def locked(path):
    held.append(open(path))
    fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)

def locked_as_posix_has_it(path):
    held.append(open(path))
    fcntl.lockf(held[-1], fcntl.LOCK_SH | fcntl.LOCK_NB)

def hold():
    for act in (
        listening,
        lambda: held.append(socket.create_server(("127.0.0.1", PORT))),
        lambda: held.append(libc.mq_open(f"/channel-{mark}".encode(), os.O_CREAT | os.O_RDWR, 0o666, None)),
        lambda: made(f"/dev/shm/channel-{mark}"),
        lambda: made(f"/tmp/channel-{mark}"),
        lambda: made(f"channel-{mark}"),
        fifo,
        lambda: locked(SHARED),
        lambda: locked("/dev/full"),
        lambda: locked_as_posix_has_it("/usr/bin/od"),
    ):
        try:
            act()
        except OSError as error:
            print("refused:", error, flush=True)
    memory = libc.shmget(number, 4096, 0o1666)
    semaphore = libc.semget(number, 1, 0o1666)
    print(f"holding as {os.getpid()} in {os.getcwd()}", flush=True)
    def end(*_):
        raise SystemExit
    signal.signal(signal.SIGTERM, end)
    try:
        while True:
            open("/usr/bin/tty").close()
            time.sleep(0.01)
    finally:
        libc.shmctl(memory, 0, None)
        libc.semctl(semaphore, 0, 0)
        libc.mq_unlink(f"/channel-{mark}".encode())
        for path in (f"/dev/shm/channel-{mark}", f"/tmp/channel-{mark}", f"/tmp/fifo-{mark}"):
            if os.path.exists(path):
                os.unlink(path)

def attempt(what, act):
    try:
        print(f"ESCAPED: {what}" if act() else f"blocked: {what}: nobody there", flush=True)
    except OSError as error:
        print(f"blocked: {what}: {error.strerror}", flush=True)

def connected(family, address):
    with socket.socket(family) as s:
        s.settimeout(1)
        s.connect(address)
        return True

def flocked(path):
    try:
        fcntl.flock(open(path), fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True

def posix_locked():
    answer = fcntl.fcntl(open("/usr/bin/od"), fcntl.F_GETLK, POSIX_LOCK)
    return struct.unpack("hhqqi4x", answer)[0] != fcntl.F_UNLCK

def signalled():
    pid = int(sys.argv[3])
    if pid == os.getpid():
        return False
    os.kill(pid, 0)
    return b"hold" in open(f"/proc/{pid}/cmdline", "rb").read()

def seen():
    # In a cell of its own another has the same number.
    return int(sys.argv[3]) != os.getpid() and os.path.exists(f"/proc/{sys.argv[3]}")

def watched():
    inotify = libc.inotify_init1(0)
    if libc.inotify_add_watch(inotify, DIRECTORY.encode(), 0x20) < 0:  # opened
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return bool(select.select([inotify], [], [], 0.5)[0])

def in_its_directory():
    return f"{sys.argv[4]}/channel-{mark}"

def in_fifo():
    os.close(os.open(f"/tmp/fifo-{mark}", os.O_WRONLY | os.O_NONBLOCK))
    return True

def meet():
    attempt("an abstract socket", lambda: connected(socket.AF_UNIX, f"\0channel-{mark}"))
    attempt("a port of the loopback", lambda: connected(socket.AF_INET, ("127.0.0.1", PORT)))
    attempt("System V memory", lambda: libc.shmget(number, 0, 0) >= 0)
    attempt("a System V semaphore", lambda: libc.semget(number, 0, 0) >= 0)
    attempt("a POSIX queue", lambda: libc.mq_open(f"/channel-{mark}".encode(), os.O_RDWR) >= 0)
    attempt("a file in /dev/shm", lambda: os.path.exists(f"/dev/shm/channel-{mark}"))
    attempt("a file in /tmp", lambda: os.path.exists(f"/tmp/channel-{mark}"))
    attempt("a lock on a shared file", lambda: flocked(SHARED))
    attempt("a POSIX lock on a shared file", posix_locked)
    attempt("a process to signal", signalled)
    attempt("a watch on a shared directory", watched)
    attempt("a fifo in /tmp", in_fifo)
    attempt("a name in its directory", lambda: os.path.exists(in_its_directory()))
    attempt("a file in its directory", lambda: open(in_its_directory()) is not None)
    attempt("a process to see", seen)
    attempt("a lock on a device", lambda: flocked("/dev/full"))

{"hold": hold, "meet": meet}[role]()
