"""A network of its own, in which one host has a public address and whoever owns a name changes their mind.

Run where the loopback interface is still down and `/etc` may be covered. Says on its standard output, a line each:

    ready                  everything below is there
    asked NAME             somebody asked for the addresses of a name (version 4; of version 6 there are none)
    met ADDRESS            somebody has connected
    told ADDRESS HOST PATH somebody has sent a request

and stays until its standard input ends.
"""

import fcntl
import http.server
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading

PUBLIC, HOME = "11.0.0.1", "127.0.0.1"

# What each name leads to when it is asked for once more; the last of it again and again.
LEADS = {
    "honest.hooks.example": [[PUBLIC]],
    "turns.hooks.example": [[PUBLIC], [HOME], [PUBLIC]],
    "home.hooks.example": [[HOME]],
    "both.hooks.example": [[PUBLIC, HOME]],
    "inside.hooks.example": [[HOME]],
}

lock = threading.Lock()


def say(*words):
    with lock:
        print(*words, flush=True)


def bring_up():
    """What `ip link set lo up; ip address add 11.0.0.1/32 dev lo` does."""
    up, set_flags, set_address, set_mask = 0x1, 0x8914, 0x8916, 0x891C
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fcntl.ioctl(asking, set_flags, struct.pack("16sh14x", b"lo", up))
    for which, address in [(set_address, PUBLIC), (set_mask, "255.255.255.255")]:
        inside = struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton(address))
        fcntl.ioctl(asking, which, inside)


def cover(directory):
    """Whoever looks a name up here asks us, and nobody else, for every one."""
    def write(name, text):
        path = os.path.join(directory, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path

    covers = {
        "/etc/resolv.conf": write("resolv.conf", "nameserver 127.0.0.1\n"),
        "/etc/nsswitch.conf": write("nsswitch.conf", "passwd: files\ngroup: files\nhosts: dns\n"),
        "/etc/hosts": write("hosts", ""),
    }
    for path, ours in covers.items():
        if os.path.exists(path):
            subprocess.run(["mount", "--bind", ours, path], check=True)
    # It would answer from what it knows from elsewhere.
    if os.path.isdir("/run/nscd"):
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run/nscd"], check=True)


def answer(question, asked):
    """The answer to a question that stands alone in its message, as those of resolvers do."""
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]].decode().lower())
        at += 1 + question[at]
    name, (kind,) = ".".join(labels), struct.unpack(">H", question[at + 1:at + 3])
    leads, addresses = LEADS.get(name), []
    if kind == 1:
        before = asked.get(name, 0)
        asked[name] = before + 1
        say("asked", name)
        addresses = leads[min(before, len(leads) - 1)] if leads else []
    head = question[:2] + struct.pack(">HHHHH", 0x8580 if leads else 0x8583, 1, len(addresses), 0, 0)
    # Not to be kept by anybody: this is how such a name gets past whoever looks twice.
    records = [struct.pack(">HHHIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(address) for address in addresses]
    return head + question[12:at + 5] + b"".join(records)


def answer_all(sock):
    asked = {}
    while True:
        question, asker = sock.recvfrom(4096)
        sock.sendto(answer(question, asked), asker)


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        where = self.server.server_address[0]
        say("told", where, self.headers["host"], self.path)
        if self.path == "/elsewhere":
            self.send_response(307)
            self.send_header("location", "https://inside.hooks.example/secret")
        else:
            self.send_response(self.server.codes.pop(0) if self.path == "/later" and self.server.codes else 204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def __init__(self, address, context):
        self.context, self.codes = context, [503]
        super().__init__((address, 443), Receiver)

    def get_request(self):
        stream, client = super().get_request()
        say("met", self.server_address[0])
        # Its greeting is for the thread that serves it.
        return self.context.wrap_socket(stream, server_side=True, do_handshake_on_connect=False), client

    def handle_error(self, *_):
        pass


def main():
    directory, certificate, key = sys.argv[1:]
    bring_up()
    cover(directory)
    asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asked.bind((HOME, 53))
    threading.Thread(target=answer_all, args=[asked], daemon=True).start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    for address in [PUBLIC, HOME]:
        threading.Thread(target=Server(address, context).serve_forever, daemon=True).start()
    say("ready")
    sys.stdin.read()


main()
