//! What the host tells the agent.
//!
//! ```text
//! agent: Ready
//! host:  File, Content*, FileEnd      agent: Stored            (for each file; Program in place of File for one to run)
//! host:  Step                         agent: Prepared          (a process stands and waits)
//! host:  Freeze                       agent: Image*, Frozen    (what it is, for others to be thawed from)
//! host:  Learn                        agent: Learnt            (what memory it uses, once it is let go and to its end)
//! host:  Go                           agent: Started, Stdout*, Stderr*, Ended
//!        Stdin*, StdinEnd, Kill       agent: StdinTaken        (while it runs)
//! host:  Fetch                        agent: Made, Content*    (between two steps)
//! ```
//!
//! Files may come before a step and while its process waits. Anything the agent cannot do it answers with `Refused`. A
//! process that waits and is not wanted any more is ended by `Kill`. After `Ended` comes the next `Step`, or nothing.

use crate::decode::Cursor;
use crate::{DecodeError, FetchOrder, HEADER_BYTES, Header, Strings};

/// One frame from the host to the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order<'a> {
    /// Begin a file at this path below the work directory, with the directories above it.
    File(&'a [u8]),
    /// The same, for a file that may be executed.
    Program(&'a [u8]),
    /// The next bytes of that file.
    Content(&'a [u8]),
    /// The file is whole.
    FileEnd,
    /// Make a process for this step, and let it wait.
    Step(StepOrder<'a>),
    /// Let the waiting process go.
    Go(Terms),
    /// Report what the waiting process is, byte for byte. For one that was started ahead. These functions of its own are to be
    /// called in each copy of it, by which it is told that it is one.
    Freeze(Strings<'a>),
    /// Let the waiting process go, which was thawed, watch what memory it uses up to its end, and report that. Nothing that it
    /// writes is.
    Learn(Terms),
    /// The next bytes for the step's standard input. One at a time: the next after `StdinTaken`.
    Stdin(&'a [u8]),
    /// There is no more standard input.
    StdinEnd,
    /// End the step now, with everything it started.
    Kill,
    /// Hand out a file that a step has made.
    Fetch(FetchOrder<'a>),
}

/// What a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepOrder<'a> {
    /// The program's absolute path is the first; the others are its arguments.
    pub argv: Strings<'a>,
    /// The whole environment, as `KEY=value`.
    pub env: Strings<'a>,
    /// How far its program is while it waits.
    pub start: Start,
    /// Random numbers of so many bytes at once may be drawn before a halt in front of that; zero stands for none.
    pub renewed: u32,
}

/// How far the program of a step is while its process waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Not begun: it is executed when it is let go.
    Fresh,
    /// Executed, and stopped.
    Ahead(Halt),
    /// What the image says that comes along with this order as a descriptor: another process, that was started ahead,
    /// stopped and frozen.
    Thawed,
    /// The same, gone on with, and stopped again.
    ThawedAhead(Halt),
}

/// Where a program that is started ahead is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// When it is loaded, with all its libraries: before its first own instruction.
    Loaded,
    /// Before it first names anything in the work directory.
    Asks,
    /// The same, or before it first draws random numbers that it could use for more than tables of its own.
    AsksOrDraws,
}

/// What a step is let go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Where its standard input comes from.
    pub stdin: StepStdin,
    /// The most a single file may grow to; past it the program gets SIGXFSZ.
    pub file_bytes: u64,
    /// Processes and threads that the cell's user may have, the agent among them; past it `fork` fails with EAGAIN.
    pub tasks: u32,
    /// When the host wants to hear that the step has ended.
    pub ends: Ends,
}

/// When the host hears that a step has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// When nobody is left of it.
    Gone,
    /// Sooner, where that can be had: when its program has ended well by its own word and all else of it was told to die,
    /// though the kernel may still be taking their memory back. For a step that is followed by another.
    Over,
}

/// Where the standard input of a step comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepStdin {
    /// It is at its end from the start.
    Empty,
    /// From `Stdin` frames.
    Frames,
}

const FILE: u8 = 1;
const CONTENT: u8 = 2;
const FILE_END: u8 = 3;
const STEP: u8 = 4;
const GO: u8 = 5;
const STDIN: u8 = 6;
const STDIN_END: u8 = 7;
const KILL: u8 = 8;
const FREEZE: u8 = 9;
const FETCH: u8 = 10;
const PROGRAM: u8 = 11;
const LEARN: u8 = 12;

impl<'a> Order<'a> {
    /// Writes the frame into a buffer; none when it does not fit there or into one frame.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let (kind, parts): (u8, [&[u8]; 4]) = match self {
            Order::File(path) => (FILE, [path, &[], &[], &[]]),
            Order::Program(path) => (PROGRAM, [path, &[], &[], &[]]),
            Order::Content(bytes) => (CONTENT, [bytes, &[], &[], &[]]),
            Order::FileEnd => (FILE_END, [&[]; 4]),
            Order::Step(step) => return step.encode(buffer),
            Order::Go(terms) => return encode(GO, [&terms.to_bytes(), &[], &[], &[]], buffer),
            Order::Learn(terms) => return encode(LEARN, [&terms.to_bytes(), &[], &[], &[]], buffer),
            Order::Freeze(functions) => {
                return encode(FREEZE, [&functions.count().to_le_bytes(), functions.bytes(), &[], &[]], buffer);
            }
            Order::Stdin(bytes) => (STDIN, [bytes, &[], &[], &[]]),
            Order::StdinEnd => (STDIN_END, [&[]; 4]),
            Order::Kill => (KILL, [&[]; 4]),
            Order::Fetch(FetchOrder { name, most }) => {
                return encode(FETCH, [&most.to_le_bytes(), name, &[], &[]], buffer);
            }
        };
        encode(kind, parts, buffer)
    }

    /// Reads the payload that belongs to a header.
    pub fn decode(header: Header, payload: &'a [u8]) -> Result<Order<'a>, DecodeError> {
        let order = match header.kind {
            FILE => return Ok(Order::File(payload)),
            PROGRAM => return Ok(Order::Program(payload)),
            CONTENT => return Ok(Order::Content(payload)),
            STDIN => return Ok(Order::Stdin(payload)),
            STEP => return StepOrder::decode(payload).map(Order::Step),
            GO => return Terms::decode(payload).map(Order::Go),
            LEARN => return Terms::decode(payload).map(Order::Learn),
            FREEZE => {
                let mut cursor = Cursor(payload);
                return Strings::new(cursor.u32()?, cursor.0).map(Order::Freeze);
            }
            FETCH => return FetchOrder::decode(payload).map(Order::Fetch),
            FILE_END => Order::FileEnd,
            STDIN_END => Order::StdinEnd,
            KILL => Order::Kill,
            other => return Err(DecodeError::UnknownKind(other)),
        };
        Cursor(payload).end().map(|()| order)
    }
}

impl<'a> StepOrder<'a> {
    fn encode<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let StepOrder { argv, env, start, renewed } = self;
        let mut fixed = [0; 17];
        fixed[0..4].copy_from_slice(&argv.count().to_le_bytes());
        fixed[4..8].copy_from_slice(&(argv.bytes().len() as u32).to_le_bytes());
        fixed[8..12].copy_from_slice(&env.count().to_le_bytes());
        fixed[12] = start.number();
        fixed[13..17].copy_from_slice(&renewed.to_le_bytes());
        encode(STEP, [&fixed, argv.bytes(), env.bytes(), &[]], buffer)
    }

    fn decode(payload: &'a [u8]) -> Result<StepOrder<'a>, DecodeError> {
        let mut cursor = Cursor(payload);
        let argc = cursor.u32()?;
        let argv_length = cursor.u32()?;
        let envc = cursor.u32()?;
        let (start, renewed) = (Start::from_number(cursor.u8()?)?, cursor.u32()?);
        let argv = Strings::new(argc, cursor.slice(argv_length as usize)?)?;
        if argv.count() == 0 {
            return Err(DecodeError::Strings);
        }
        Ok(StepOrder { argv, env: Strings::new(envc, cursor.0)?, start, renewed })
    }
}

impl Start {
    const ALL: [Start; 8] = [
        Start::Fresh,
        Start::Ahead(Halt::Loaded),
        Start::Ahead(Halt::Asks),
        Start::Ahead(Halt::AsksOrDraws),
        Start::Thawed,
        Start::ThawedAhead(Halt::Loaded),
        Start::ThawedAhead(Halt::Asks),
        Start::ThawedAhead(Halt::AsksOrDraws),
    ];

    fn number(self) -> u8 {
        match self {
            Start::Fresh => 0,
            Start::Ahead(halt) => 1 + halt.number(),
            Start::Thawed => 4,
            Start::ThawedAhead(halt) => 5 + halt.number(),
        }
    }

    fn from_number(number: u8) -> Result<Start, DecodeError> {
        let of = |start: &Start| start.number() == number;
        Start::ALL.into_iter().find(of).ok_or(DecodeError::Value(number))
    }
}

impl Halt {
    fn number(self) -> u8 {
        match self {
            Halt::Loaded => 0,
            Halt::Asks => 1,
            Halt::AsksOrDraws => 2,
        }
    }
}

impl Terms {
    /// How many bytes terms take: the same inside a cell, where the agent hands them on.
    pub const BYTES: usize = 14;

    /// The terms as bytes.
    pub fn to_bytes(self) -> [u8; Terms::BYTES] {
        let Terms { stdin, file_bytes, tasks, ends } = self;
        let mut bytes = [0; Terms::BYTES];
        bytes[0] = match stdin {
            StepStdin::Empty => 0,
            StepStdin::Frames => 1,
        };
        bytes[1..9].copy_from_slice(&file_bytes.to_le_bytes());
        bytes[9..13].copy_from_slice(&tasks.to_le_bytes());
        bytes[13] = match ends {
            Ends::Gone => 0,
            Ends::Over => 1,
        };
        bytes
    }

    /// Reads them back.
    pub fn decode(bytes: &[u8]) -> Result<Terms, DecodeError> {
        let mut cursor = Cursor(bytes);
        let stdin = match cursor.u8()? {
            0 => StepStdin::Empty,
            1 => StepStdin::Frames,
            other => return Err(DecodeError::Value(other)),
        };
        let (file_bytes, tasks) = (cursor.u64()?, cursor.u32()?);
        let ends = match cursor.u8()? {
            0 => Ends::Gone,
            1 => Ends::Over,
            other => return Err(DecodeError::Value(other)),
        };
        cursor.end().map(|()| Terms { stdin, file_bytes, tasks, ends })
    }
}

/// Writes header and payload one after the other.
pub(crate) fn encode<'b>(kind: u8, parts: [&[u8]; 4], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let length = parts.iter().map(|part| part.len()).sum();
    let header = Header::new(kind, length)?;
    let whole = buffer.get_mut(..HEADER_BYTES + length)?;
    whole[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
    let mut at = HEADER_BYTES;
    for part in parts {
        whole[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    Some(whole)
}
