//! A server that something is measured or made with: a process that says where it listens, and ends with whoever has started it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Ended when it is dropped.
pub(crate) struct Server {
    _process: Process,
    /// `HOST:PORT`.
    address: String,
}

struct Process(Child);

/// Where a server says that it listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Out,
    Err,
}

impl Server {
    /// Starts it, and waits until it says at which `HOST:PORT` it listens.
    pub(crate) fn start(command: &mut Command, says: Says, meaning: impl Fn(&str) -> Option<String>) -> Result<Server> {
        let name = command.get_program().display().to_string();
        let (out, err) = match says {
            Says::Out => (Stdio::piped(), Stdio::null()),
            Says::Err => (Stdio::null(), Stdio::piped()),
        };
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let mut process = Process(child.with_context(|| format!("cannot start {name}"))?);
        let address = match says {
            Says::Out => process.0.stdout.take().and_then(|out| heard(out, meaning)),
            Says::Err => process.0.stderr.take().and_then(|err| heard(err, meaning)),
        };
        Ok(Server { _process: process, address: address.with_context(|| format!("{name} ended before it listened"))? })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody is left to tell when that fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a server's words mean, once it says so. Whatever it says later is read as well, or it would wait.
fn heard(said: impl Read + Send + 'static, meaning: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut lines = BufReader::new(said).lines().map_while(Result::ok);
    let heard = lines.find_map(|line| meaning(&line));
    std::thread::spawn(move || lines.for_each(drop));
    heard
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str, says: Says) -> Result<Server> {
        Server::start(Command::new("sh").args(["-c", script]), says, |line| Some(line.strip_prefix("at ")?.to_owned()))
    }

    #[test]
    fn it_is_waited_for_until_it_says_what_is_to_be_known_or_has_ended() {
        let server = start("echo starting; echo at here:80; exec sleep 600", Says::Out).unwrap();
        assert_eq!(server.address(), "here:80");
        drop(server); // which would take ten minutes
        assert_eq!(start("echo at here:80; echo at here:81 >&2", Says::Err).unwrap().address(), "here:81");
        let error = start("echo starting", Says::Out).err().unwrap();
        assert!(error.to_string().contains("sh ended before it listened"), "{error}");
    }
}
