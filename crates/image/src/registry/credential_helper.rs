//! Programs that keep logins for Docker and its like: `docker-credential-NAME get`.
//!
//! Starts one, tells it which registry it is about, and reads the login that it prints, by the protocol of Docker's credential
//! helpers. Which one is asked, and when, is decided elsewhere. It is the user's own program, named by the user's own file: it runs
//! with the user's rights and writes to the user's terminal. What it prints is bounded nevertheless, and so is its time: if it is too late, it is
//! killed with all that it has started, which is what its process group is for.
//!
//! Where we belong to a terminal, it stays in our own group, and is killed alone. In another it would be stopped as soon as it asked its user anything
//! there, and neither Ctrl-C nor `fg` would reach it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use serde::Deserialize;

use crate::registry::Login;

/// Long enough for somebody who is asked to unlock what it keeps.
pub(super) const WITHIN: Duration = Duration::from_secs(60);
/// More than any login takes.
const MOST: u64 = 64 << 10;
/// Of what it says when it fails, no more than this is passed on.
const MOST_SAID: usize = 200;
/// By these words, which are part of the protocol, it says that it has no such login.
const NONE: &str = "credentials not found in native keychain";
/// The name of whoever has a token in place of a password.
const TOKEN: &str = "<token>";

/// A program that is called by the end of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CredentialHelper {
    program: String,
}

/// Why a helper gives no login.
#[derive(Debug, thiserror::Error)]
pub enum CredentialHelperError {
    /// It may have no such name: it would be somewhere else than where programs are.
    #[error("the credentials file names the helper `{0}`, and no program's name ends like that")]
    Name(String),
    /// It is not there, or cannot run.
    #[error("cannot start `{program}`, which the credentials file leaves logins to")]
    Start {
        /// Which.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It cannot be waited for, or read from.
    #[error("cannot speak with `{program}`")]
    Speak {
        /// Which.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It goes on for too long.
    #[error("`{program}` has given no login within {} s", .within.as_secs_f32())]
    Late {
        /// Which.
        program: String,
        /// How long it had.
        within: Duration,
    },
    /// It fails.
    #[error("`{program}` gives no login for `{registry}`, and ends with {status}{}", if .says.is_empty() { String::new() } else { format!(": {says}") })]
    Failed {
        /// Which.
        program: String,
        /// For which registry.
        registry: String,
        /// How it ended.
        status: ExitStatus,
        /// The beginning of what it says.
        says: String,
    },
    /// What it prints is no login. Says nothing of what that is.
    #[error("`{0}` prints something else than a login")]
    Nonsense(String),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    name: String,
    #[serde(rename = "Secret")]
    secret: String,
}

impl CredentialHelper {
    /// The helper of this name. It becomes a part of a file's name and must not lead elsewhere.
    pub(super) fn named(name: &str) -> Result<CredentialHelper, CredentialHelperError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || 64 < name.len() || !name.bytes().all(is_plain) {
            return Err(CredentialHelperError::Name(name.chars().take(MOST_SAID).collect()));
        }
        Ok(CredentialHelper { program: format!("docker-credential-{name}") })
    }

    /// Where it is. A place that counts from where one is would let whoever owns that start something.
    fn place(&self) -> Result<PathBuf, CredentialHelperError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::env::split_paths(&path).filter(|place| place.is_absolute());
        let found = places.map(|place| place.join(&self.program)).find(|program| program.is_file());
        let source = io::ErrorKind::NotFound.into();
        found.ok_or_else(|| CredentialHelperError::Start { program: self.program.clone(), source })
    }

    /// What it knows about a registry. None if it knows nothing.
    pub(super) fn login(&self, registry: &str, within: Duration) -> Result<Option<Login>, CredentialHelperError> {
        self.ask(registry, within, !has_a_terminal())
    }

    /// The same, of one that is in a group of its own or not.
    fn ask(&self, registry: &str, within: Duration, is_alone: bool) -> Result<Option<Login>, CredentialHelperError> {
        let program = || self.program.clone();
        let mut command = Command::new(self.place()?);
        // What it has to say to its user it says itself.
        command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        if is_alone {
            command.process_group(0);
        }
        let child = command.spawn().map_err(|source| CredentialHelperError::Start { program: program(), source })?;
        let group = is_alone.then(|| pid_of(&child)).flatten();
        let mut running = Running { child, group, until: Instant::now() + within };
        let ended = running.ask(registry).map_err(|source| match source.kind() {
            io::ErrorKind::TimedOut => CredentialHelperError::Late { program: program(), within },
            _ => CredentialHelperError::Speak { program: program(), source },
        })?;
        let Said { status, text } = ended;
        if !status.success() {
            let says = String::from_utf8_lossy(&text).trim().to_owned();
            if says == NONE {
                return Ok(None);
            }
            // What begins like a login might be one.
            let says = says.lines().next().filter(|says| !says.starts_with('{')).unwrap_or_default();
            let says = says.chars().take(MOST_SAID).collect();
            return Err(CredentialHelperError::Failed {
                program: program(),
                registry: registry.to_owned(),
                status,
                says,
            });
        }
        let nonsense = |_| CredentialHelperError::Nonsense(program());
        let Answer { name, secret } = serde_json::from_slice(&text).map_err(nonsense)?;
        Ok(match (name.as_str(), secret.is_empty()) {
            (_, true) => None,
            (TOKEN, false) => Some(Login::Refresh(secret)),
            (_, false) => Some(Login::Password { name, password: secret }),
        })
    }
}

/// How it ended, and what it had printed.
struct Said {
    status: ExitStatus,
    text: Vec<u8>,
}

fn has_a_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

fn pid_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(child.id().cast_signed())
}

/// A helper that was started. Ends when it is dropped.
struct Running {
    child: Child,
    /// Its process group, if that is its own, until it has ended by itself: what it leaves running then, as an agent, is meant to.
    group: Option<Pid>,
    until: Instant,
}

impl Running {
    /// Says what this is about, and hears the end of it.
    fn ask(&mut self, registry: &str) -> io::Result<Said> {
        let (stdin, stdout) = (self.child.stdin.take(), self.child.stdout.take());
        let text = match (stdin, stdout) {
            (Some(stdin), Some(stdout)) => {
                tell(stdin, registry)?;
                self.hear(stdout)?
            }
            _ => Vec::new(),
        };
        let process = pid_of(&self.child).ok_or(io::ErrorKind::NotFound)?;
        let process = pidfd_open(process, PidfdFlags::empty())?;
        self.wait_for(process.as_fd())?;
        self.group = None;
        Ok(Said { status: self.child.wait()?, text })
    }

    /// All that it prints. More than a login takes is none.
    fn hear(&self, mut stdout: ChildStdout) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        loop {
            self.wait_for(stdout.as_fd())?;
            let mut piece = [0; 4096];
            let read = stdout.read(&mut piece)?;
            text.extend_from_slice(&piece[..read]);
            if read == 0 || MOST < text.len() as u64 {
                text.truncate(MOST as usize);
                return Ok(text);
            }
        }
    }

    /// Until something can be read there, or it has ended.
    fn wait_for(&self, what: BorrowedFd<'_>) -> io::Result<()> {
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
            match poll(&mut [PollFd::from_borrowed_fd(what, PollFlags::IN)], Some(&left)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Who has ended is not hit, nor another: nobody else has its number, or its group's, before it was waited for.
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Which registry it is about. That fits into a pipe, so nobody waits; whoever does not read it knows without.
fn tell(mut stdin: ChildStdin, registry: &str) -> io::Result<()> {
    match stdin.write_all(format!("{registry}\n").as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        told => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program of these lines says, if it has so long.
    fn ask(lines: &str, within: Duration) -> Result<Option<Login>, CredentialHelperError> {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("docker-credential-test").to_str().unwrap().to_owned();
        // Another thread that starts something right now would hold a file open that we write, and such a file does not start.
        let write = r#"printf '#!/bin/sh\n%s\n' "$2" > "$1" && chmod 755 "$1""#;
        let written = Command::new("sh").args(["-c", write, "sh", &program, lines]).status().unwrap();
        assert!(written.success());
        CredentialHelper { program }.ask("registry.example:5000", within, true)
    }

    fn says(lines: &str) -> Result<Option<Login>, String> {
        ask(lines, WITHIN).map_err(|error| error.to_string())
    }

    #[test]
    fn what_it_knows_is_the_login() {
        let password =
            |name: &str, password: &str| Ok(Some(Login::Password { name: name.into(), password: password.into() }));
        let asked = r#"read about; printf '{"ServerURL": "x", "Username": "%s", "Secret": "%s"}' "$about" "$*""#;
        assert_eq!(says(asked), password("registry.example:5000", "get"));
        assert_eq!(says(r#"echo '{"Username": "<token>", "Secret": "t"}'"#), Ok(Some(Login::Refresh("t".into()))));
        let deaf = r#"exec <&-; echo '{"Username": "deaf", "Secret": "s"}'"#;
        assert_eq!(says(deaf), password("deaf", "s"));
        assert_eq!(says(&format!("echo '{NONE}'; exit 1")), Ok(None));
        assert_eq!(says(r#"echo '{"Username": "", "Secret": ""}'"#), Ok(None));
    }

    #[test]
    fn what_it_does_not_know_is_an_error_that_says_why_and_no_secret() {
        let failed = says("echo 'it is locked'; echo more; exit 3").unwrap_err();
        assert!(
            failed.ends_with("for `registry.example:5000`, and ends with exit status: 3: it is locked"),
            "{failed}"
        );
        let told = says(r#"echo '{"Username": "a", "Secret": "hidden"}'; exit 1"#).unwrap_err();
        assert!(!told.contains("hidden") && told.ends_with("exit status: 1"), "{told}");
        let failed = says("head -c 100000 /dev/zero | tr '\\0' x; exit 1").unwrap_err();
        assert!(failed.len() < 2 * MOST_SAID, "{failed}");
        for odd in [r#"echo '{"Username": 5, "Secret": "hidden"}'"#, "echo hidden", "", "exec yes hidden"] {
            let error = says(odd).unwrap_err();
            assert!(error.contains("docker-credential-test"), "{odd}: {error}");
            assert!(!error.contains("Secret") && !error.starts_with("hidden"), "{odd}: {error}");
        }
        let nowhere = CredentialHelper { program: "/nowhere/docker-credential-x".to_owned() }.login("x", WITHIN);
        assert!(matches!(nowhere, Err(CredentialHelperError::Start { .. })), "{nowhere:?}");
    }

    #[test]
    fn it_has_so_long_and_no_longer() {
        // One that goes on, one that has closed its output, and one that is gone while another holds it open.
        for slow in ["exec sleep 100", "exec >&- sleep 100", "sleep 3 & exit 0"] {
            let begun = Instant::now();
            let late = ask(slow, Duration::from_millis(200));
            assert!(matches!(late, Err(CredentialHelperError::Late { .. })), "{slow}: {late:?}");
            assert!(begun.elapsed() < Duration::from_secs(2), "{slow}: {:?}", begun.elapsed());
        }
    }

    #[test]
    fn who_is_too_late_is_killed_with_all_that_it_has_started() {
        let directory = tempfile::tempdir().unwrap();
        let pids = directory.path().join("pids");
        // One that waits for what it has started, and one that is gone before.
        for end in ["wait", "exit 0"] {
            let begins =
                format!("sleep 100 & echo $! > {0}; sh -c 'sleep 100 & echo $! >> {0}; wait' & ", pids.display());
            let until_both = format!("until [ $(wc -l < {}) = 2 ]; do sleep 0.01; done; ", pids.display());
            let late = ask(&format!("{begins}{until_both}{end}"), Duration::from_secs(5));
            assert!(matches!(late, Err(CredentialHelperError::Late { .. })), "{end}: {late:?}");
            let pids = std::fs::read_to_string(&pids).unwrap();
            assert_eq!(pids.lines().count(), 2, "{end}: {pids}");
            let deadline = Instant::now() + Duration::from_secs(10);
            for pid in pids.lines() {
                while is_running(pid) {
                    assert!(Instant::now() < deadline, "{end}: {pid} is still running");
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }

    #[test]
    fn what_it_leaves_running_on_purpose_goes_on() {
        let leaves = r#"sleep 100 > /dev/null & printf '{"Username": "%s", "Secret": "s"}' $!"#;
        let Ok(Some(Login::Password { name: pid, .. })) = ask(leaves, WITHIN) else { panic!("no login") };
        // What would be killed with it would not be so at once.
        std::thread::sleep(Duration::from_millis(100));
        assert!(is_running(&pid));
        let pid = pid.parse().ok().and_then(Pid::from_raw).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
    }

    /// Who was killed may wait for whoever started it, or for the first of all processes, to take note.
    fn is_running(pid: &str) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        status.is_ok_and(|status| !status.rsplit(')').next().unwrap().starts_with(" Z"))
    }

    #[test]
    fn its_name_leads_nowhere_else() {
        for name in ["", "a/b", "../x", "a b", "x\0", "x\n", "\u{e9}", &"x".repeat(65)] {
            assert!(matches!(CredentialHelper::named(name), Err(CredentialHelperError::Name(_))), "{name:?}");
        }
        for name in ["pass", "osxkeychain", "desktop.exe", "ecr-login", "gcloud", "acr_env"] {
            assert_eq!(CredentialHelper::named(name).unwrap().program, format!("docker-credential-{name}"));
        }
    }
}
