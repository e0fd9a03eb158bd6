//! The service under load: many clients at once, who ask for all that programs do, and for what they should not.
//!
//! A few seconds of it belong to every `cargo xtask test`; `cargo xtask load` goes on for longer, with the release binary.

#![allow(clippy::print_stdout, reason = "what was measured is shown")]

#[path = "load/client.rs"]
mod client;
#[path = "load/kind.rs"]
mod kind;
mod kit;
#[path = "load/rest.rs"]
mod rest;
#[path = "load/tally.rs"]
mod tally;

use std::time::{Duration, Instant};

use client::Client;
use kind::{Kind, Language};
use kit::{Dice, HostInventory, Service, firebox, is_installed};
use rest::{Rest, counted};
use tally::Tally;

/// Without a word from `cargo xtask load`.
const CLIENTS: usize = 64;
const SECONDS: u64 = 10;
/// What memory may grow by between a quarter of the run and its end: a part, and what single allocations make of it.
const GROWTH: f64 = 0.10;
const SLACK: u64 = 8 << 20;
/// The end of a cell is heard of when the next job comes, so some sockets wait for that: sixteen, and as many as jobs can run at
/// once. A job that left one behind for good would make hundreds.
const VARIES: usize = 24;

#[test]
fn every_request_gets_exactly_one_right_answer_and_nothing_grows_or_is_left() {
    let (clients, seconds) = (asked_for("FIREBOX_LOAD_CLIENTS", CLIENTS), asked_for("FIREBOX_LOAD_SECONDS", SECONDS));
    let seed = Dice::seed();
    println!("{clients} clients for {seconds} s; TEST_SEED={seed} draws the same again");
    let host = HostInventory::take();
    // So few may wait that some are told that it is full.
    let queue = (clients / 2).to_string();
    let call = firebox()
        .args(["serve", "--listen", "127.0.0.1:0", "--keep", "4M", "--queue", &queue])
        .within(Duration::from_secs(seconds * 4 + 120));
    let service = Service::of(call.start());
    let mix = Kind::mix(|language| language != Language::JavaScript || is_installed("javascript"));

    let whole = Duration::from_secs(seconds);
    let mut tally = load(&service, clients, whole / 4, &mix, (seed, "a"));
    let before = Rest::of(&service);
    tally.add(load(&service, clients, whole * 3 / 4, &mix, (seed, "b")));
    let after = Rest::of(&service);
    let numbers = counted(&service);

    let per_second = tally.outcomes() as f64 / whole.as_secs_f64();
    println!("{}\n{} outcomes, {per_second:.0} each second", tally.table(), tally.outcomes());
    println!("at rest after a quarter: {before}\nat rest after the end:   {after}");
    let log = service.stop().stderr();

    assert_eq!(tally.wrong_answers(), 0, "{:#?}", tally.wrongs);
    let sum = |name: &str| -> usize {
        numbers.iter().filter(|(key, _)| key.starts_with(name)).map(|(_, number)| *number as usize).sum()
    };
    assert_eq!(sum("firebox_jobs_total{"), tally.outcomes(), "jobs that ran are not those that were asked for");
    let full = sum("firebox_refused_total{code=\"full\"}");
    assert!(tally.full() <= full, "{full} were told that it is full, and {} heard it", tally.full());
    assert_eq!(sum("firebox_refused_total{code=\"fault\"}"), 0, "the service had faults");
    for line in log.lines() {
        assert!(!line.contains(r#""level":"ERROR""#), "the service says: {line}");
    }
    assert_eq!(before.processes, after.processes, "processes that belong to no job");
    let most = before.descriptors() + VARIES;
    assert!(after.descriptors() <= most, "descriptors that belong to no job: {after}, {most} are the most");
    for (what, before, after) in [("all", before.family, after.family), ("the server", before.server, after.server)] {
        let (Some(before), Some(after)) = (before, after) else { continue };
        let most = before + (before as f64 * GROWTH) as u64 + SLACK;
        assert!(after <= most, "memory of {what} grew from {before} to {after} bytes, {most} is the most");
    }
    host.assert_nothing_left();
}

/// So many clients at once, for so long.
fn load(service: &Service, clients: usize, time: Duration, mix: &[Kind], (seed, part): (u64, &str)) -> Tally {
    let until = Instant::now() + time;
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..clients)
            .map(|number| {
                let name = format!("{part}{number}-{seed:x}");
                let sequence = number as u64 + if part == "a" { 0 } else { clients as u64 };
                let client = Client { address: service.address, mix, dice: Dice::new(seed, sequence), name };
                scope.spawn(move || client.ask_until(until))
            })
            .collect();
        running.into_iter().for_each(|client| tally.add(client.join().expect("a client does not panic")));
    });
    tally
}

fn asked_for<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`, which is no number")),
        Err(_) => otherwise,
    }
}
