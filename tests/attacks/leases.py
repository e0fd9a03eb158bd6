"""Takes leases on files: who else opens such a file waits until the kernel takes them back, three quarters of a minute later. On
those of the system only such as keep nobody waiting who reads."""
import fcntl, os, signal, tempfile

signal.signal(signal.SIGIO, signal.SIG_IGN)

def attempt(what, path, lease):
    try:
        with open(path) as opened:
            fcntl.fcntl(opened, fcntl.F_SETLEASE, lease)
            fcntl.fcntl(opened, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        print(f"blocked: {what}: {error.strerror}", flush=True)
    else:
        print(f"ESCAPED: {what}", flush=True)

file, own = tempfile.mkstemp()
os.close(file)
attempt("a lease on a file that nobody else may write to meanwhile", own, fcntl.F_RDLCK)
attempt("a lease on a file that nobody else may open meanwhile", own, fcntl.F_WRLCK)
os.unlink(own)
attempt("a lease on a small file of the system", "/etc/passwd", fcntl.F_RDLCK)
