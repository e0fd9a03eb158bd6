//! Jobs through HTTP, next to the engine without it: what the edge adds to one job, and how much is done with it in between.
//!
//! What it adds is told by each answer: from before the first byte of the request to after the last of the answer, less the
//! time that the outcome itself has as the job's. Both are of the same job, so that what a job takes longer than another
//! is in neither; the work of the client is in it, and counts against us.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::json;

use super::connection::{Connection, Reply};
use super::hellos::Rows;
use super::row::{Details, Measured};
use super::rows::Bench;
use super::samples::{Pair, Samples, rows_side_by_side};
use super::subject::{Subject, seeded};

/// Turns that are thrown away.
const WARM_UP: usize = 1;

/// `firebox serve` as a child process. Dropping it ends it.
pub(super) struct Service {
    child: Child,
    pub(super) address: SocketAddr,
}

/// What a client is told, as far as we read it.
#[derive(Debug, Deserialize)]
struct Answer {
    status: String,
    stdout: String,
    timing_ms: Timing,
}

#[derive(Debug, Deserialize)]
struct Timing {
    total: f64,
}

/// A job's answer, and how long it took as the client saw it.
struct Asked {
    reply: Reply,
    took: Duration,
}

impl Service {
    /// Starts one that listens on a port of its own.
    pub(super) fn start(command: &mut Command) -> Result<Service> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.map_err(|error| anyhow!("cannot start {command:?}: {error}"))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.trim().rsplit_once("http://").and_then(|(_, address)| address.parse().ok());
        match address {
            Some(address) => Ok(Service { child, address }),
            None => bail!("{command:?} does not say where it listens: `{}` ({})", line.trim(), child.wait()?),
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Nobody is left to tell when that fails.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

impl Asked {
    /// What of the time the job itself was, when it did what it was meant to do.
    fn job(&self) -> Result<Duration> {
        let told = self.reply.text();
        ensure!(self.reply.code == 200, "the service answered {}: {told}", self.reply.code);
        let answer: Answer = serde_json::from_str(&told).with_context(|| format!("no outcome: {told}"))?;
        let Answer { status, stdout, timing_ms: Timing { total } } = answer;
        ensure!(status == "ok" && stdout.starts_with("hello "), "the job ended as `{status}` and said {stdout:?}");
        Ok(Duration::from_secs_f64(total / 1e3))
    }

    fn added(&self) -> Result<Duration> {
        Ok(self.took.saturating_sub(self.job()?))
    }
}

impl Bench<'_> {
    /// What HTTP adds to a job, one client, one connection, one job after the other.
    pub(super) fn added_by_http(&self, subject: &Subject, rows: Rows) -> Result<(Measured, Details)> {
        let service = self.serve(subject)?;
        let mut requests = Requests::of(subject, subject.text(self.root)?);
        let mut connection = Connection::open(service.address)?;
        let mut times = Vec::new();
        for turn in 0..rows.turns + WARM_UP {
            let asked: Vec<Asked> = requests
                .take(rows.length)
                .iter()
                .map(|request| ask(&mut connection, request))
                .collect::<Result<Vec<_>>>()?;
            self.firebox.quiet(service.pid())?;
            if WARM_UP <= turn {
                times.extend(asked.iter().map(Asked::added).collect::<Result<Vec<_>>>()?);
            }
        }
        Ok((Measured::Times(Samples(times)), Details::default()))
    }

    /// As many clients as there are cores, of the service and of the engine in turns. The times are those of a job: the whole,
    /// divided by the jobs.
    pub(super) fn throughput_of_http(&self, subject: &Subject, rows: Rows) -> Result<(Measured, Details)> {
        let clients = std::thread::available_parallelism()?.get();
        let mut driver = self.driver_with(&[subject], &["--clients".to_owned(), clients.to_string()])?;
        let service = self.serve(subject)?;
        let mut requests = Requests::of(subject, subject.text(self.root)?);
        let connections = (0..clients).map(|_| Connection::open(service.address));
        let mut connections = connections.collect::<std::io::Result<Vec<_>>>()?;
        let each = |whole: Duration| vec![whole.div_f64(rows.length.max(1) as f64)];
        driver.settle()?;
        self.firebox.quiet(service.pid())?;
        let pair: Pair = rows_side_by_side(
            rows.turns,
            WARM_UP,
            || {
                let whole = ask_at_once(&mut connections, &requests.take(rows.length))?;
                self.firebox.quiet(service.pid())?;
                Ok(each(whole))
            },
            || {
                let whole = driver.jobs(rows.length)?.wall()?;
                driver.settle()?;
                Ok(each(whole))
            },
        )?;
        Ok((Measured::Pair(pair), Details::default()))
    }

    fn serve(&self, subject: &Subject) -> Result<Service> {
        let service = self.firebox.serve(subject.language)?;
        self.firebox.quiet(service.pid())?;
        Ok(service)
    }
}

/// Requests whose code nobody has seen, made before anything is timed.
struct Requests<'a> {
    language: &'a str,
    text: String,
    next: u64,
}

impl<'a> Requests<'a> {
    fn of(subject: &'a Subject, text: String) -> Requests<'a> {
        Requests { language: subject.language, text, next: 0 }
    }

    fn take(&mut self, count: usize) -> Vec<Vec<u8>> {
        let mut next = || {
            self.next += 1;
            json!({"lang": self.language, "code": seeded(&self.text, self.next)}).to_string().into_bytes()
        };
        std::iter::repeat_with(&mut next).take(count).collect()
    }
}

fn ask(connection: &mut Connection, request: &[u8]) -> Result<Asked> {
    let start = Instant::now();
    let reply = connection.post("/v1/execute", "application/json", request)?;
    Ok(Asked { reply, took: start.elapsed() })
}

/// All of them, divided among these connections; from the first request to the last answer.
fn ask_at_once(connections: &mut [Connection], requests: &[Vec<u8>]) -> Result<Duration> {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let asked: Vec<Asked> = std::thread::scope(|scope| {
        let clients: Vec<_> = connections
            .iter_mut()
            .map(|connection| {
                let next = &next;
                scope.spawn(move || {
                    let mut asked = Vec::new();
                    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                        asked.push(ask(connection, request)?);
                    }
                    Ok(asked)
                })
            })
            .collect();
        let asked = clients.into_iter().map(|client| client.join().unwrap_or_else(|_| bail!("a client broke down")));
        asked.collect::<Result<Vec<_>>>().map(|asked| asked.into_iter().flatten().collect())
    })?;
    let whole = start.elapsed();
    ensure!(asked.len() == requests.len(), "of {} requests, {} were answered", requests.len(), asked.len());
    asked.iter().try_for_each(|asked| asked.job().map(drop))?;
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// A service that answers so, once.
    fn answered(head: &str, body: &str) -> Result<Asked> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let read = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            read
        });
        let asked = ask(&mut Connection::open(address)?, b"{}");
        assert!(served.join().unwrap() > 0);
        asked
    }

    #[test]
    fn what_is_added_is_what_the_outcome_does_not_account_for() {
        let body = r#"{"status":"ok","stdout":"hello 1\n","timing_ms":{"total":0.001}}"#;
        let asked = answered("200 OK", body).unwrap();
        assert_eq!(asked.job().unwrap(), Duration::from_micros(1));
        assert_eq!(asked.added().unwrap(), asked.took - Duration::from_micros(1));
    }

    #[test]
    fn what_is_no_good_answer_is_no_measurement() {
        for (head, body, says) in [
            ("503 Service Unavailable", "full", "503"),
            ("200 OK", r#"{"status":"timeout","stdout":"hello 1","timing_ms":{"total":1}}"#, "timeout"),
            ("200 OK", r#"{"status":"ok","stdout":"","timing_ms":{"total":1}}"#, "said"),
            ("200 OK", "oops", "no outcome: oops"),
        ] {
            let error = answered(head, body).unwrap().added().unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn no_two_requests_have_the_same_code() {
        let mut requests = Requests { language: "bash", text: "echo @SEED@".to_owned(), next: 0 };
        let taken = [requests.take(2), requests.take(1)].concat();
        assert!(taken[0] != taken[1] && taken[1] != taken[2] && taken[0] != taken[2], "{taken:?}");
    }
}
