//! How a guest hangs up before it switches its machine off.
//!
//! What was written to a socket of the wire's is not on the wire yet: a kernel thread sees to that, and a machine that is off has no threads. Nothing
//! but the host's own end of the connection tells that it has heard all.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown, sockopt};

/// A host that takes longer to take some bytes has other troubles.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says that there is nothing more to come. Does not wait, and holds for whoever has a copy of the socket, too.
pub(crate) fn say_goodbye(socket: impl AsFd) -> Result<(), Errno> {
    match shutdown(socket, Shutdown::Both) {
        // Whom it would be said to has gone.
        Err(Errno::NOTCONN) => Ok(()),
        said => said,
    }
}

/// Closes it, and waits until the other end has heard everything. Who has gone before has heard enough.
pub(crate) fn hang_up(socket: OwnedFd) -> Result<(), Errno> {
    sockopt::set_socket_linger(&socket, Some(PATIENCE))
}
