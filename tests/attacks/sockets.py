"""Fills buffers of sockets on the loopback until 100 MiB are in them or two seconds are over, then holds them. The
argument is the protocol."""
import resource, signal, socket, sys, time

BYTES, SECONDS, SOCKETS = 100 << 20, 2, 900
BLOB = b"x" * 60_000
until = time.monotonic() + SECONDS
held = []

_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, SOCKETS + 100), most))

def with_buffers(kind):
    made = socket.socket(socket.AF_INET, kind)
    made.settimeout(0.1)
    for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, buffer, 4 << 20)
    held.append(made)
    return made

def fill(send):
    """Sends until nothing more goes in; returns how much went."""
    sent = 0
    try:
        while sent < 8 << 20:
            sent += send(BLOB)
    except OSError:
        pass
    return sent

def tcp():
    listener = with_buffers(socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(SOCKETS)
    def pair():
        near = with_buffers(socket.SOCK_STREAM)
        near.connect(listener.getsockname())
        far, _ = listener.accept()
        held.append(far)
        for end in (near, far):
            end.setblocking(False)
        return fill(near.send) + fill(far.send)
    return pair

def udp():
    sender = with_buffers(socket.SOCK_DGRAM)
    def receiver():
        made = with_buffers(socket.SOCK_DGRAM)
        made.bind(("127.0.0.1", 0))
        # What does not fit is dropped without a word: each gets what fits into the largest buffer.
        return fill(lambda blob: sender.sendto(blob, made.getsockname()))
    return receiver

sent = 0
try:
    more = {"tcp": tcp, "udp": udp}[sys.argv[1]]()
except OSError as error:
    print("refused:", error, flush=True)
    until = 0
while sent < BYTES and len(held) < SOCKETS and time.monotonic() < until:
    try:
        sent += more()
    except OSError as error:
        print("refused:", error, flush=True)
        time.sleep(0.01)
print(f"filled {len(held)} sockets with {sent >> 20} MiB", flush=True)
signal.pause()
