"""Takes every lock that can be had on a file that is open to read, and holds them. Arguments: files besides its own
interpreter; those that are not there are left out."""
import fcntl, os, signal, sys

# By whatever names: nobody locks a file twice.
paths = [path for path in [sys.executable, *sys.argv[1:]] if os.path.exists(path)]
files = [open(path) for path in {(os.stat(path).st_dev, os.stat(path).st_ino): path for path in paths}.values()]
for file in files:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
print("locked", len(files), "files", flush=True)
signal.pause()
