"""Reaches for listeners of the test on the host. Arguments: TCP port, UDP port, abstract name, path of a socket file."""
import socket, sys

tcp, udp, abstract, path = sys.argv[1:5]
HELLO = b"hello from the host"

def attempt(what, act):
    try:
        print(f"ESCAPED: {what}" if act() else f"blocked: {what}: no answer", flush=True)
    except OSError as error:
        print(f"blocked: {what}: {error}", flush=True)

def heard(family, kind, address, first=b""):
    with socket.socket(family, kind) as s:
        s.settimeout(2)
        s.connect(address)
        if first:
            s.send(first)
        return s.recv(100) == HELLO

def opened(family, kind, protocol=0):
    with socket.socket(family, kind, protocol):
        return True

attempt("tcp to the host", lambda: heard(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", int(tcp))))
attempt("udp to the host", lambda: heard(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", int(udp)), b"?"))
attempt("abstract socket of the host", lambda: heard(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + abstract))
attempt("socket file of the host", lambda: heard(socket.AF_UNIX, socket.SOCK_STREAM, path))
attempt("raw socket", lambda: opened(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
attempt("packet socket", lambda: opened(socket.AF_PACKET, socket.SOCK_RAW))
attempt("netlink socket", lambda: opened(socket.AF_NETLINK, socket.SOCK_RAW))
attempt("netfilter socket", lambda: opened(socket.AF_NETLINK, socket.SOCK_RAW, 12))
attempt("vsock", lambda: opened(socket.AF_VSOCK, socket.SOCK_STREAM))
attempt("alg socket", lambda: opened(socket.AF_ALG, socket.SOCK_SEQPACKET))
attempt("an interface besides lo", lambda: [name for _, name in socket.if_nameindex() if name != "lo"])

def resolves(name):
    return socket.getaddrinfo(name, 80)

attempt("a name of the internet", lambda: resolves("example.com"))

def routed():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("192.0.2.1", 53))  # sends nothing; says whether there is a route
        return True

attempt("a route out", routed)
