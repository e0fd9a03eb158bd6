"""Fills a place with bytes and then with files. Arguments: the place, a variable such as $TMPDIR for the one that it names;
and what to try, where it is not everything. What is tried by itself is held for a moment, for who only watches."""
import errno, os, shutil, sys, tempfile, time

BYTES, FILES = 100 << 20, 20_000

def attempt(what, act):
    try:
        act()
        print(f"ESCAPED: {what}", flush=True)
    except OSError as error:
        print(f"blocked: {what}: {errno.errorcode[error.errno]}", flush=True)

def one_file(directory):
    with open(f"{directory}/large", "wb", buffering=0) as file:
        for _ in range(BYTES >> 20):
            file.write(b"x" * (1 << 20))

def allocated(directory):
    with open(f"{directory}/allocated", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, BYTES)

def many_files(directory):
    for i in range(FILES):
        os.close(os.open(f"{directory}/{i}", os.O_CREAT | os.O_WRONLY))

def long_names(directory):
    for i in range(FILES):
        os.close(os.open(f"{directory}/{i:0255}", os.O_CREAT | os.O_WRONLY))

def many_directories(directory):
    for i in range(FILES):
        os.mkdir(f"{directory}/{i}")

def many_links(directory):
    for i in range(FILES):
        os.symlink("x" * 200, f"{directory}/{i}")

def without_names(directory):
    open_still = [open(f"{directory}/{i}", "wb", buffering=0) for i in range(10)]
    for i, file in enumerate(open_still):
        os.unlink(f"{directory}/{i}")
        for _ in range(BYTES // 10 >> 20):
            file.write(b"x" * (1 << 20))
    time.sleep(1)

place, *chosen = sys.argv[1:]
everything = (one_file, allocated, many_files, long_names, many_directories, many_links)

def filled(act):
    directory = tempfile.mkdtemp(dir=os.path.expandvars(place))
    try:
        act(directory)
        time.sleep(2 if chosen else 0)
    finally:
        shutil.rmtree(directory)

for act in (*everything, without_names):
    if act.__name__ in chosen or not chosen and act in everything:
        attempt(f"{act.__name__} in {place}", lambda: filled(act))
