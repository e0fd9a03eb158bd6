//! A guest's life without a machine around it: sockets of this host in place of the wire. For the tests of this crate, and to try one by hand.
//!
//! ```text
//! cargo build -p firebox-guest --examples; target/debug/examples/guest_on_a_host DIRECTORY     as root
//! ```
//!
//! It calls `introduction` in the directory, where somebody has to listen, and listens at `agent` and `control` there.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use anyhow::{Context, Result};
use firebox_guest::{Listeners, live};

fn main() -> Result<()> {
    let directory: PathBuf = std::env::args_os().nth(1).context("which directory?")?.into();
    let listener = |name: &str| -> Result<_> {
        let listener = UnixListener::bind(directory.join(name)).with_context(|| format!("cannot listen at {name}"))?;
        listener.set_nonblocking(true)?;
        Ok(listener.into())
    };
    let listeners =
        Listeners { agent: listener("agent")?, control: listener("control")?, renewal: listener("renewal")? };
    let host = UnixStream::connect(directory.join("introduction")).context("nobody listens at introduction")?;
    Ok(live(host.into(), listeners)?)
}
