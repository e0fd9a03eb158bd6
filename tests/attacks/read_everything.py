"""Reads and maps every file that it can find, up to 128 MB, and touches all of it."""
import mmap, os, sys

left, kept = 128 << 20, []
# Not everywhere is all of /usr listed.
trees = ["/usr"] if any(os.walk("/usr")) else ["/usr/bin", "/usr/lib", sys.prefix]
for directory, files in ((directory, files) for tree in trees for directory, _, files in os.walk(tree)):
    for path in (f"{directory}/{name}" for name in files):
        try:
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size < 1 << 20 or left < size:
                    continue
                while file.read(1 << 20):
                    pass
                mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        except (OSError, ValueError):
            continue
        kept.append(mapped)
        left -= size
        sum(mapped[at] for at in range(0, size, 4096))
print("read", (128 << 20) - left, "bytes")
