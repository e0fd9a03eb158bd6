//! What the agent tells the host. The agent is treated as hostile: a report is data about a program, never a
//! verdict about a limit.

use crate::decode::Cursor;
use crate::order::encode;
use crate::{DecodeError, Header, MadeFile};

/// One frame from the agent to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report<'a> {
    /// The agent stands, is confined, and speaks this version.
    Ready {
        /// See [`crate::VERSION`].
        version: u16,
    },
    /// The file is stored.
    Stored,
    /// A process for the step stands and waits.
    Prepared,
    /// The next bytes of the image of the process that waits.
    Image(&'a [u8]),
    /// The image is whole.
    Frozen {
        /// Whether the process has nothing left to do but to ask for something in the work directory.
        asks: bool,
    },
    /// What memory a process has used that was thawed and watched to its end: bytes that agents alone understand.
    Learnt(&'a [u8]),
    /// The step's program has been started.
    Started,
    /// The step wrote to its standard output.
    Stdout(&'a [u8]),
    /// The step wrote to its standard error.
    Stderr(&'a [u8]),
    /// The last `Stdin` frame has been passed on, or there is nobody left to read it.
    StdinTaken,
    /// The step and everything it started is gone, and all it wrote has been reported.
    Ended(End),
    /// The file that was to be handed out is there.
    Made(MadeFile),
    /// The next bytes of that file. Never none.
    Content(&'a [u8]),
    /// The agent could not do what it was told.
    Refused {
        /// What it could not do.
        what: Refusal,
        /// The kernel's reason.
        errno: i32,
    },
}

/// How a step's program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Exited(u8),
    /// By this signal.
    Signaled(u8),
}

/// What an agent could not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Confine itself.
    Confine,
    /// Store a file.
    Store,
    /// Make a process.
    Fork,
    /// Start the program.
    Exec,
    /// Stop a program ahead of its job, freeze it, thaw it, or watch it.
    Ahead,
    /// Understand what it was told, or at that time.
    Order,
    /// Hand out a file.
    Fetch,
}

const READY: u8 = 1;
const STORED: u8 = 2;
const PREPARED: u8 = 3;
const STARTED: u8 = 4;
const STDOUT: u8 = 5;
const STDERR: u8 = 6;
const STDIN_TAKEN: u8 = 7;
const ENDED: u8 = 8;
const REFUSED: u8 = 9;
const IMAGE: u8 = 10;
const FROZEN: u8 = 11;
const MADE: u8 = 12;
const CONTENT: u8 = 13;
const LEARNT: u8 = 14;

impl<'a> Report<'a> {
    /// Writes the frame into a buffer; none when it does not fit there or into one frame.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let plain = |kind| (kind, [0; 5], 0);
        let (kind, fixed, used) = match self {
            Report::Stdout(bytes) => return encode(STDOUT, [bytes, &[], &[], &[]], buffer),
            Report::Stderr(bytes) => return encode(STDERR, [bytes, &[], &[], &[]], buffer),
            Report::Image(bytes) => return encode(IMAGE, [bytes, &[], &[], &[]], buffer),
            Report::Learnt(bytes) => return encode(LEARNT, [bytes, &[], &[], &[]], buffer),
            Report::Content(bytes) => return encode(CONTENT, [bytes, &[], &[], &[]], buffer),
            Report::Made(made) => return encode(MADE, [&made.to_bytes(), &[], &[], &[]], buffer),
            Report::Stored => plain(STORED),
            Report::Frozen { asks } => (FROZEN, [u8::from(*asks), 0, 0, 0, 0], 1),
            Report::Prepared => plain(PREPARED),
            Report::Started => plain(STARTED),
            Report::StdinTaken => plain(STDIN_TAKEN),
            Report::Ready { version } => {
                let [a, b] = version.to_le_bytes();
                (READY, [a, b, 0, 0, 0], 2)
            }
            Report::Ended(End::Exited(code)) => (ENDED, [0, *code, 0, 0, 0], 2),
            Report::Ended(End::Signaled(signal)) => (ENDED, [1, *signal, 0, 0, 0], 2),
            Report::Refused { what, errno } => {
                let [a, b, c, d] = errno.to_le_bytes();
                (REFUSED, [what.number(), a, b, c, d], 5)
            }
        };
        encode(kind, [&fixed[..used], &[], &[], &[]], buffer)
    }

    /// Reads the payload that belongs to a header.
    pub fn decode(header: Header, payload: &'a [u8]) -> Result<Report<'a>, DecodeError> {
        let mut cursor = Cursor(payload);
        let report = match header.kind {
            STDOUT => return Ok(Report::Stdout(payload)),
            STDERR => return Ok(Report::Stderr(payload)),
            IMAGE => return Ok(Report::Image(payload)),
            LEARNT => return Ok(Report::Learnt(payload)),
            FROZEN => match cursor.u8()? {
                asks @ (0 | 1) => Report::Frozen { asks: asks == 1 },
                other => return Err(DecodeError::Value(other)),
            },
            CONTENT => return Ok(Report::Content(payload)),
            MADE => Report::Made(MadeFile::decode(&mut cursor)?),
            READY => Report::Ready { version: cursor.u16()? },
            STORED => Report::Stored,
            PREPARED => Report::Prepared,
            STARTED => Report::Started,
            STDIN_TAKEN => Report::StdinTaken,
            ENDED => match cursor.take::<2>()? {
                [0, code] => Report::Ended(End::Exited(code)),
                [1, signal @ 1..=64] => Report::Ended(End::Signaled(signal)),
                [1, other] | [other, _] => return Err(DecodeError::Value(other)),
            },
            REFUSED => Report::Refused { what: Refusal::from_number(cursor.u8()?)?, errno: cursor.i32()? },
            other => return Err(DecodeError::UnknownKind(other)),
        };
        cursor.end().map(|()| report)
    }
}

impl Refusal {
    fn number(self) -> u8 {
        match self {
            Refusal::Confine => 1,
            Refusal::Store => 2,
            Refusal::Fork => 3,
            Refusal::Exec => 4,
            Refusal::Order => 5,
            Refusal::Ahead => 6,
            Refusal::Fetch => 7,
        }
    }

    fn from_number(number: u8) -> Result<Refusal, DecodeError> {
        [Refusal::Confine, Refusal::Store, Refusal::Fork, Refusal::Exec, Refusal::Order, Refusal::Ahead, Refusal::Fetch]
            .into_iter()
            .find(|refusal| refusal.number() == number)
            .ok_or(DecodeError::Value(number))
    }
}
