//! A socket on which whoever started the service listens already, as systemd does for `firebox.socket`: who comes while the service
//! starts again waits in it, and is not refused.
//!
//! The protocol is two variables, `LISTEN_FDS` for how many there are, from the fourth descriptor on, and `LISTEN_PID` for whom
//! they are: processes that this one starts have the variables, too.

use std::env;
use std::net::TcpListener;
use std::os::fd::OwnedFd;

use anyhow::{Context, anyhow};
use rustix::net::SocketType;
use rustix::net::sockopt::{socket_acceptconn, socket_type};

use crate::failure::Failure;
use crate::serve::config::Config;
use crate::sys;

/// The first that is handed over.
const FIRST: i32 = 3;

/// Takes it, if there is one, and has the settings say where it listens. Before the warden is split off, and anything else is
/// started that would have it as well.
pub(super) fn take(config: &mut Config) -> Result<Option<TcpListener>, Failure> {
    let variable = |name| env::var(name).ok();
    match count(variable("LISTEN_PID").as_deref(), variable("LISTEN_FDS").as_deref(), std::process::id()) {
        0 => return Ok(None),
        1 => {}
        several => {
            return Err(Failure::request(anyhow!("{several} sockets were handed over, and a service listens on one"))
                .with_help("leave one `ListenStream=` in the socket's unit"));
        }
    }
    if config.listen_is_asked_for {
        return Err(Failure::request(anyhow!("a socket was handed over, and `listen` asks for another")).with_help(
            "leave `listen` out (a flag, `FIREBOX_LISTEN`, or a line in the file), and have `ListenStream=` say where",
        ));
    }
    let socket = sys::handed(FIRST).context("cannot take the socket that was handed over").map_err(Failure::host)?;
    let listener = listening(socket)?;
    config.listen = listener.local_addr().map_err(|_| of_no_use())?;
    Ok(Some(listener))
}

/// How many there are for this process.
fn count(for_whom: Option<&str>, how_many: Option<&str>, pid: u32) -> usize {
    let is_for_us = for_whom.and_then(|text| text.parse().ok()) == Some(pid);
    how_many.filter(|_| is_for_us).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn listening(socket: OwnedFd) -> Result<TcpListener, Failure> {
    match (socket_type(&socket), socket_acceptconn(&socket)) {
        (Ok(SocketType::STREAM), Ok(true)) => Ok(socket.into()),
        _ => Err(of_no_use()),
    }
}

fn of_no_use() -> Failure {
    Failure::request(anyhow!("what was handed over is no socket that listens for TCP"))
        .with_help("`ListenStream=127.0.0.1:8080` in the socket's unit makes one")
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn sockets_are_taken_by_whom_they_are_for() {
        for (for_whom, how_many, expected) in [
            (Some("7"), Some("1"), 1),
            (Some("7"), Some("2"), 2),
            (Some("8"), Some("1"), 0),
            (None, Some("1"), 0),
            (Some("7"), None, 0),
            (Some("7"), Some("one"), 0),
            (Some("7"), Some("-1"), 0),
        ] {
            assert_eq!(count(for_whom, how_many, 7), expected, "{for_whom:?} {how_many:?}");
        }
    }

    #[test]
    fn only_a_socket_that_listens_for_tcp_is_of_use() {
        let tcp = TcpListener::bind("[::1]:0").or_else(|_| TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = tcp.local_addr().unwrap();
        let taken = listening(tcp.into()).map_err(|failure| failure.message());
        assert_eq!(taken.unwrap().local_addr().unwrap(), address);
        let directory = tempfile::tempdir().unwrap();
        let unix = listening(UnixListener::bind(directory.path().join("socket")).unwrap().into());
        assert!(unix.is_ok_and(|unix| unix.local_addr().is_err()), "it would have an address");
        let udp = OwnedFd::from(UdpSocket::bind("127.0.0.1:0").unwrap());
        let file = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        for other in [udp, file] {
            assert!(listening(other).err().unwrap().message().unwrap().contains("ListenStream"));
        }
    }
}
