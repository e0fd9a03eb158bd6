//! A server that is a program, for one test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// Ends with the test.
pub(crate) struct Server(Child);

/// On which of its streams a program says that it listens. What it says on the other is nobody's, or the test's.
pub(crate) enum Says {
    Output,
    Errors,
}

impl Server {
    /// Starts it, and waits for the line in which it says where it listens: `find` finds that. None where it ends before.
    pub(crate) fn start(
        command: &mut Command,
        says: &Says,
        find: impl Fn(&str) -> Option<String>,
    ) -> Option<(Server, String)> {
        match says {
            Says::Output => command.stdout(Stdio::piped()).stderr(Stdio::inherit()),
            Says::Errors => command.stdout(Stdio::null()).stderr(Stdio::piped()),
        };
        let mut child = command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said: Box<dyn Read + Send> = match says {
            Says::Output => Box::new(child.stdout.take().unwrap()),
            Says::Errors => Box::new(child.stderr.take().unwrap()),
        };
        let server = Server(child);
        let mut log = BufReader::new(said).lines();
        let host = log.by_ref().find_map(|line| find(&line.unwrap()))?;
        // Whatever it says later has to be read, or it waits.
        std::thread::spawn(move || log.for_each(drop));
        Some((server, host))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
