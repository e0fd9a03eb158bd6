//! What an engine says to an agent, and hears of it.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use firebox_cell::AgentStream;
use firebox_wire::{End, Ends, Order, Report, Start, StepOrder, StepStdin, StringsBuilder, Terms, VERSION};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Longer than anything takes.
const PLENTY: Duration = Duration::from_secs(60);

pub(crate) struct Agent(AgentStream);

impl Agent {
    pub(crate) fn new(stream: UnixStream) -> Agent {
        Agent(AgentStream::new(stream.into()).unwrap())
    }

    /// What it says first of all.
    pub(crate) fn is_ready(&mut self) {
        self.hear(|report| assert_eq!(*report, Report::Ready { version: VERSION }));
    }

    /// Has it make a process for this program.
    pub(crate) fn prepare(&mut self, argv: &[&str]) {
        let (mut words, mut variables) = ([0; 4096], [0; 64]);
        let mut builder = StringsBuilder::new(&mut words);
        assert!(argv.iter().all(|word| builder.push(word.as_bytes())));
        let mut environment = StringsBuilder::new(&mut variables);
        assert!(environment.push(b"PATH=/bin"));
        let (argv, env) = (builder.finish(), environment.finish());
        self.say(&Order::Step(StepOrder { argv, env, start: Start::Fresh, renewed: 0 }));
        self.hear(|report| assert_eq!(*report, Report::Prepared));
    }

    /// Lets it go, and waits for its end: what it has said, and how it ended.
    pub(crate) fn go(&mut self, tasks: u32) -> (String, End) {
        let terms = Terms { stdin: StepStdin::Empty, file_bytes: 1 << 20, tasks: tasks + 1, ends: Ends::Gone };
        self.say(&Order::Go(terms));
        let mut said = Vec::new();
        loop {
            let end = self.hear(|report| match report {
                Report::Started => None,
                Report::Stdout(bytes) | Report::Stderr(bytes) => {
                    said.extend_from_slice(bytes);
                    None
                }
                Report::Ended(end) => Some(*end),
                other => panic!("{other:?}"),
            });
            if let Some(end) = end {
                return (String::from_utf8_lossy(&said).into_owned(), end);
            }
        }
    }

    fn say(&mut self, order: &Order<'_>) {
        self.0.send(order, Instant::now() + PLENTY).unwrap();
    }

    fn hear<T>(&mut self, make: impl FnOnce(&Report<'_>) -> T) -> T {
        let until = Instant::now() + PLENTY;
        loop {
            if let Some(report) = self.0.receive().unwrap() {
                return make(&report);
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the agent says nothing");
            let timeout = Timespec::try_from(left).unwrap();
            poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout)).unwrap();
        }
    }
}
