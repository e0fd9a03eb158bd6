"""What a user has on the host beside a job: a file, a directory, sockets, a process. Argument: a directory for them."""
import os, signal, socket, sys

place = sys.argv[1]
os.setpgid(0, 0)
os.chdir(place)
signal.signal(signal.SIGIO, signal.SIG_IGN)
with open("secret", "w") as secret:
    secret.write("the secret")
os.chmod("secret", 0o600)
open("removable", "w").close()
with open("program", "w") as program:
    program.write("#!/bin/sh\nexit 0\n")
os.chmod("program", 0o700)
os.mkfifo("fifo")
kept = [os.open("fifo", os.O_RDWR)]

stream, datagrams, abstract, abstract_datagrams, tcp, udp = (
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
    socket.socket(),
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
)
stream.bind("stream")
datagrams.bind("datagrams")
abstract.bind("\0e2e-" + place)
abstract_datagrams.bind("\0e2e-d-" + place)
tcp.bind(("127.0.0.1", 0))
udp.bind(("127.0.0.1", 0))
for listener in (stream, abstract, tcp):
    listener.listen()

with open("ports.new", "w") as ports:
    ports.write(f"{tcp.getsockname()[1]} {udp.getsockname()[1]} {os.getpid()}")
os.rename("ports.new", "ports")
signal.pause()
while True:
    signal.pause()
