//! The monitor as a program. Its warden starts it; nobody else has a use for it.

mod sys;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use firebox_monitor::{Doors, Handed, Orders, Parts, Report, Whose, confine, run};
use firebox_vmm::Ran;

fn main() -> ExitCode {
    // Before anything is read: a stream that is no stream, or orders that are none, end it all the same.
    let confined = confine();
    let stream = UnixStream::from(sys::take(Handed::Stream));
    let ended = confined.map_err(|error| error.to_string()).and_then(|_| watch_over(stream.as_fd()));
    match report(&ended).write(&stream) {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody listens any more.
        Err(_) => ExitCode::FAILURE,
    }
}

fn watch_over(stream: impl AsFd) -> Result<Ran, String> {
    let orders: Orders = std::env::args().nth(1).unwrap_or_default().parse().map_err(in_words)?;
    let file = |handed| File::from(sys::take(handed));
    let (kernel, initramfs) = (file(Handed::Kernel), file(Handed::Initramfs));
    let kvm: OwnedFd = sys::take(Handed::Kvm);
    let disk = orders.has_disk.then(|| file(Handed::Disk));
    let doors = Doors::receive(stream.as_fd()).map_err(in_words)?;
    run(orders, Parts { kvm, kernel, initramfs, disk, doors }).map_err(in_words)
}

fn in_words(error: impl std::error::Error) -> String {
    error.to_string()
}

fn report(ended: &Result<Ran, String>) -> Report {
    match ended {
        Ok(Ran { ending, log }) => Report { whose: Whose::Guests, words: ending.to_string(), last_words: log.bytes() },
        Err(words) => Report { whose: Whose::Ours, words: words.clone(), last_words: Vec::new() },
    }
}
