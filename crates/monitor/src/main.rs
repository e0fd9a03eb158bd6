//! The monitor as a program. Its warden starts it; nobody else has a use for it.

mod sys;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use firebox_monitor::{Became, Course, Doors, Freezer, Handed, Orders, Parts, Report, Whose, confine, run};
use firebox_vmm::Ran;

fn main() -> ExitCode {
    // The one thing that is read before: its warden's words came with the program.
    let orders: Result<Orders, _> = std::env::args().nth(1).unwrap_or_default().parse();
    let least = Orders { memory: 0, cpus: 0, has_disk: false, course: Course::Boot };
    let confined = confine(*orders.as_ref().unwrap_or(&least));
    let stream = UnixStream::from(sys::take(Handed::Stream));
    let ended = confined
        .map_err(in_words)
        .and_then(|_| orders.map_err(in_words))
        .and_then(|orders| watch_over(orders, &stream));
    match report(&ended).write(&stream) {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody listens any more.
        Err(_) => ExitCode::FAILURE,
    }
}

fn watch_over(orders: Orders, stream: &UnixStream) -> Result<Became, String> {
    let file = |handed| File::from(sys::take(handed));
    let (program, contents) = (file(Handed::Program), file(Handed::Contents));
    let kvm: OwnedFd = sys::take(Handed::Kvm);
    let disk = orders.has_disk.then(|| file(Handed::Disk));
    let doors = Doors::receive(stream.as_fd()).map_err(|error| format!("there are no doors: {error}"))?;
    run(orders, kvm, Parts { program, contents, disk, doors }, Freezer::listening(stream)).map_err(in_words)
}

fn in_words(error: impl std::error::Error) -> String {
    error.to_string()
}

fn report(ended: &Result<Became, String>) -> Report {
    let (whose, words, last_words) = match ended {
        Ok(Became::Ended(Ran { ending, log })) => (Whose::Guests, ending.to_string(), log.bytes()),
        Ok(Became::Frozen) => (Whose::Owners, "the machine was frozen".to_owned(), Vec::new()),
        Err(words) => (Whose::Ours, words.clone(), Vec::new()),
    };
    Report { whose, words, last_words }
}
