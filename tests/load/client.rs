//! One client of many: asks, waits for the answer, looks at it, and asks for the next.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::kind::Kind;
use crate::kit::{Connection, Dice, Reply};
use crate::tally::Tally;

/// How long a request may be told that it is full, over and over.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a client that goes away stays at most.
const STAYS: Duration = Duration::from_millis(300);

/// See the module.
pub(crate) struct Client<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) mix: &'a [Kind],
    pub(crate) dice: Dice,
    /// What no other client's marks begin with.
    pub(crate) name: String,
}

impl Client<'_> {
    /// Asks until then, and waits for the last answer.
    pub(crate) fn ask_until(mut self, until: Instant) -> Tally {
        let mut tally = Tally::default();
        let mut connection = None;
        for number in 0.. {
            if until <= Instant::now() {
                break;
            }
            let kind = *self.dice.one_of(self.mix);
            let mark = format!("{}-{number}", self.name);
            let done = match kind {
                Kind::GoesAway => self.go_away(&mark, &mut tally).map_err(|error| error.to_string()),
                _ => self.ask(kind, &mark, &mut connection, &mut tally),
            };
            if let Err(wrong) = done {
                tally.wrong(kind, &mark, &wrong);
                connection = None;
            }
        }
        tally
    }

    fn ask(&mut self, kind: Kind, mark: &str, kept: &mut Option<Connection>, tally: &mut Tally) -> Result<(), String> {
        let request = kind.request(mark).to_string();
        let begun = Instant::now();
        loop {
            let asked = Instant::now();
            let reply = self.reply(kind, &request, kept).map_err(|error| error.to_string())?;
            if reply.code != 503 {
                kind.check(mark, reply.code, &reply.text()).map_err(|wrong| format!("{wrong}: {}", reply.text()))?;
                tally.right(kind, asked.elapsed());
                return Ok(());
            }
            tally.told_that_it_is_full(kind);
            let seconds = reply.header("retry-after").and_then(|seconds| seconds.parse().ok());
            let seconds: u64 = seconds.ok_or_else(|| "503 without `Retry-After`".to_owned())?;
            if PATIENCE < begun.elapsed() {
                return Err(format!("told for {PATIENCE:?} that it is full: {}", reply.text()));
            }
            std::thread::sleep(Duration::from_secs(seconds) + self.dice.up_to(Duration::from_millis(200)));
        }
    }

    fn reply(&self, kind: Kind, request: &str, kept: &mut Option<Connection>) -> io::Result<Reply> {
        if let Some(connection) = kept
            && connection.has_been_closed()?
        {
            *kept = None;
        }
        let connection = match kept {
            Some(connection) => connection,
            none => none.insert(Connection::open(self.address)?),
        };
        connection.post("/v1/execute", kind.accept(), request.as_bytes())
    }

    fn go_away(&mut self, mark: &str, tally: &mut Tally) -> io::Result<()> {
        let request = Kind::GoesAway.request(mark).to_string();
        let mut connection = Connection::open(self.address)?;
        connection.begin_post("/v1/execute", Kind::GoesAway.accept(), request.as_bytes())?;
        let stays = self.dice.up_to(STAYS);
        std::thread::sleep(stays);
        tally.right(Kind::GoesAway, stays);
        Ok(())
    }
}
