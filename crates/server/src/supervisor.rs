//! What a supervisor such as systemd is told: that the service is ready, that it is alive, and that it is about to end.
//!
//! The protocol is a datagram with a line for each fact, to the socket that `NOTIFY_SOCKET` names. Where there is none, nothing is
//! told, and where nobody listens, nothing is lost.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::time::interval;

/// How often it is told that we are alive, in parts of the time that it waits.
const SIGNS: u32 = 3;

/// Who started the service, and wants to know how it is.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    socket: Option<UnixDatagram>,
    /// How long it waits for a sign of life before it ends us.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The one that the environment names.
    pub(crate) fn find() -> io::Result<Supervisor> {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Supervisor::default());
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address(name)?)?;
        socket.set_nonblocking(true)?;
        let text = |name| env::var(name).ok();
        let is_ours = text("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let microseconds = text("WATCHDOG_USEC").and_then(|time| time.parse().ok()).filter(|time| *time > 0);
        Ok(Supervisor { socket: Some(socket), watchdog: microseconds.filter(|_| is_ours).map(Duration::from_micros) })
    }

    /// Whether anybody wants to know.
    pub(crate) fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// Whoever waited for us can go on.
    pub(crate) fn ready(&self) {
        self.tell("READY=1");
    }

    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Tells again and again that we are alive; said by a task, so a runtime that is stuck does not say it.
    pub(crate) async fn stay_alive(&self) {
        let Some(watchdog) = self.watchdog else { return std::future::pending().await };
        let mut signs = interval(watchdog / SIGNS);
        loop {
            signs.tick().await;
            self.tell("WATCHDOG=1");
        }
    }

    fn tell(&self, fact: &str) {
        if let Some(socket) = &self.socket {
            // A supervisor that does not read is none.
            let _ = socket.send(fact.as_bytes());
        }
    }
}

/// A path, or a name in the kernel alone when it begins with `@`.
fn address(name: OsString) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        _ => SocketAddr::from_pathname(OsString::from_vec(name.into_vec())),
    }
}
