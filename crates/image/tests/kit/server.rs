//! A server that is a program, for one test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Ends with the test.
pub(crate) struct Server(Child);

impl Server {
    /// Starts it, and waits for the line in which it says where it listens. `find` finds that.
    pub(crate) fn start(command: &mut Command, find: impl Fn(&str) -> Option<String>) -> (Server, String) {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut server = Server(child.unwrap_or_else(|error| panic!("{command:?}: {error}")));
        let mut log = BufReader::new(server.0.stdout.take().unwrap()).lines();
        let found = log.by_ref().find_map(|line| find(&line.unwrap()));
        let host = found.unwrap_or_else(|| panic!("{command:?} ended before it listened"));
        // Whatever it says later has to be read, or it waits.
        std::thread::spawn(move || log.for_each(drop));
        (server, host)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
