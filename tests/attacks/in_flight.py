"""Sends its streams over sockets that it sends along, in a cycle, and ends: nobody can ever take them out, and they
stay open until the kernel collects them."""
import array, os, socket

pair = socket.socketpair()
cargo = array.array("i", [pair[0].fileno(), pair[1].fileno(), 1, 2])
for end in pair:
    end.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, cargo)])
print("sent", flush=True)
os._exit(0)
