//! A monitor that a guest has taken: stands in the walls of one and tries what it can, then waits until nobody listens any more.
//!
//! With one processor it has confined itself before, as a monitor does; with two it has not, so the walls stand alone, and what is a filter's
//! work is seen to be none of theirs. Says on its stream what came of each attempt: a name, and `done` or an error's number.
//!
//! With three or four it is confined, and a thread of it that would meet a guest crashes, by its own wish or by a bad address.

mod attempts;
mod sys;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use firebox_confine::Filter;
use firebox_monitor::{Orders, confine};

fn crash(way: u8) -> Option<fn()> {
    match way {
        3 => Some(|| std::process::abort()),
        4 => Some(sys::read_what_is_not_there),
        _ => None,
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let orders: Orders = std::env::args().nth(1).unwrap_or_default().parse()?;
    let is_confined = orders.cpus != 2;
    if is_confined {
        confine(orders)?;
    }
    let mut stream: UnixStream = sys::stream();
    if let Some(crash) = crash(orders.cpus) {
        let crashed = std::thread::spawn(move || Filter::MACHINE.install().map(|()| crash()));
        return Err(format!("it goes on: {:?}", crashed.join()).into());
    }
    let mut said = String::new();
    for (name, answer) in attempts::of_the_first_thread() {
        writeln!(said, "{name}: {answer}")?;
    }
    let thread = std::thread::spawn(move || {
        if is_confined {
            Filter::MACHINE.install().map_err(|error| error.to_string())?;
        }
        Ok::<_, String>(attempts::of_a_thread_that_meets_a_guest())
    });
    for (name, answer) in thread.join().map_err(|_| "the thread is gone")?? {
        writeln!(said, "{name}: {answer}")?;
    }
    stream.write_all(format!("{said}over\n").as_bytes())?;
    // Whoever looks at it from outside has the time to.
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}
