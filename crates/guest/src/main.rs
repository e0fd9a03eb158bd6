//! The first process of a microVM.
//!
//! It sets up what a host has set up when firebox comes there, and is the host of one jail from then on. What goes wrong is said on the
//! console, which is the machine's serial port, and the machine is switched off: there is nobody to try again.

mod modules;
mod stand;

use std::fs::File;
use std::io::Write;

use anyhow::{Context, Result, ensure};
use firebox_guest::{AGENT, CONTROL, INTRODUCTION, Listeners, RENEWAL, call_host, listen_to_host, live};
use rustix::system::{RebootCommand, reboot};

fn main() -> Result<()> {
    ensure!(rustix::process::getpid().is_init(), "this is the first process of a microVM, and of no use anywhere else");
    if let Err(error) = be_a_host() {
        say(&format!("firebox: {error:#}\n"));
    }
    switch_off()
}

fn be_a_host() -> Result<()> {
    stand::devices().context("cannot show devices")?;
    modules::load().context("cannot load the kernel's modules")?;
    stand::everything_else()?;
    // Before the host hears that there is a cell, it can call.
    let listener = |port| listen_to_host(port).with_context(|| format!("cannot listen for the host on port {port}"));
    let listeners = Listeners { agent: listener(AGENT)?, control: listener(CONTROL)?, renewal: listener(RENEWAL)? };
    let host = call_host(INTRODUCTION).context("cannot call the host")?;
    Ok(live(host, listeners)?)
}

/// Says it to its end: what still waits for a serial port when the machine is off is never heard. There may be nobody who listens.
fn say(words: &str) {
    let console = File::options().write(true).open("/dev/console");
    let _ = console.and_then(|mut console| {
        console.write_all(words.as_bytes())?;
        Ok(rustix::termios::tcdrain(&console)?)
    });
}

/// A kernel whose first process ends calls that a panic.
fn switch_off() -> Result<()> {
    reboot(RebootCommand::PowerOff).context("cannot switch the machine off")
}
