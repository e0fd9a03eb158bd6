"""Reads what the kernel says of itself, and opens to write what steers it: opened, never written."""
import os

def attempt(what, act):
    try:
        print(f"ESCAPED: {what}" if act() else f"blocked: {what}: nothing there", flush=True)
    except OSError as error:
        print(f"blocked: {what}: {error.strerror}", flush=True)

def addresses():
    with open("/proc/kallsyms") as symbols:
        return any(int(symbols.readline().split(" ")[0] or "0", 16) for _ in range(100))

def opened(path, flags):
    os.close(os.open(path, flags | os.O_NONBLOCK))
    return True

def read(path):
    with open(path, "rb") as file:
        return file.read(10)

attempt("addresses in /proc/kallsyms", addresses)
for path in ("/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
             "/proc/sys/vm/drop_caches", "/proc/sys/kernel/ns_last_pid", "/proc/sys/kernel/hostname", "/proc/irq/default_smp_affinity"):
    attempt(f"{path} opened to write", lambda: opened(path, os.O_WRONLY))
for path in ("/proc/kcore", "/proc/kmsg", "/proc/vmcore", "/proc/1/mem"):
    attempt(f"{path} opened", lambda: opened(path, os.O_RDONLY))
for path in ("timer_list", "modules", "cmdline", "sched_debug", "keys", "key-users", "slabinfo", "vmallocinfo", "interrupts",
             "net/unix", "net/tcp", "partitions", "swaps", "version", "stat", "meminfo", "diskstats"):
    attempt(f"read /proc/{path}", lambda: read(f"/proc/{path}"))
attempt("read /proc/mounts of process 1", lambda: read("/proc/1/mounts"))
for path in ("/sys/kernel", "/sys/fs/cgroup", "/sys/firmware", "/sys/module", "/proc/acpi", "/proc/scsi", "/proc/bus"):
    attempt(f"list {path}", lambda: os.listdir(path))
