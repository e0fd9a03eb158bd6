//! Attacks over the network, and through sockets that are none. Each succeeds outside.

mod kit;

use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use kit::Expectation::HeldBy;
use kit::{Attack, temp_dir, words};

#[test]
fn no_listener_of_the_host_can_be_reached_and_no_odd_socket_made() {
    let hello = b"hello from the host";
    let directory = temp_dir();
    let path = directory.path().join("socket");
    let name = format!("e2e-abstract-{}", std::process::id());

    // Detached: each answers for as long as the tests run.
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let file = UnixListener::bind(&path).expect("a path that is ours");
    let address = SocketAddr::from_abstract_name(&name).expect("a short name");
    let abstract_name = UnixListener::bind_addr(&address).expect("a free name");
    let ports = [tcp.local_addr(), udp.local_addr()].map(|address| address.expect("it is bound").port().to_string());
    std::thread::spawn(move || tcp.incoming().flatten().for_each(|mut client| drop(client.write_all(hello))));
    for listener in [file, abstract_name] {
        std::thread::spawn(move || listener.incoming().flatten().for_each(|mut client| drop(client.write_all(hello))));
    }
    std::thread::spawn(move || {
        while let Ok((_, client)) = udp.recv_from(&mut [0; 64]) {
            let _ = udp.send_to(hello, client);
        }
    });

    Attack {
        name: "listeners of the host, and sockets of odd families",
        layer: "network namespace, seccomp",
        source: "network.py",
        args: words([&ports[0], &ports[1], &name, path.to_str().expect("a path of ours is text")]),
        limits: &["--run-time", "60s"],
        succeeds_outside: &[
            "tcp to the host",
            "udp to the host",
            "abstract socket of the host",
            "socket file of the host",
            "raw socket",
            "packet socket",
            "netlink socket",
            "netfilter socket",
        ],
        fence: HeldBy("seccomp"),
        microvm: HeldBy("the machine, seccomp"),
        ..Attack::PLAIN
    }
    .check();
}
