//! A guest's life: it hears what its cell is to be, has it made, and passes on what is said to it.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use firebox_cell::CellError;
use firebox_warden::{StartError, Warden};
use firebox_wire::warden::{CellReply, Message};

use crate::farewell::{hang_up, say_goodbye};
use crate::introduction::{Introduction, NoIntroduction};
use crate::relay::{Line, Words, pass_on};
use crate::renewal;

/// Where the host calls.
#[derive(Debug)]
pub struct Listeners {
    /// For the agent's stream.
    pub agent: OwnedFd,
    /// For the cell's socket.
    pub control: OwnedFd,
    /// To renew a clone.
    pub renewal: OwnedFd,
}

/// Why there is no cell any more, or none ever.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// It was not told what it is for.
    #[error("cannot understand the host")]
    Introduction(#[from] NoIntroduction),
    /// It has no warden.
    #[error("cannot start a warden")]
    Warden(#[from] StartError),
    /// It has no cell.
    #[error("cannot make a cell")]
    Cell(#[from] CellError),
    /// The host did not hear that there is one.
    #[error("cannot answer the host")]
    Answer(#[source] io::Error),
    /// The cell is gone, and that was not told to anybody as its removal: the warden has failed.
    #[error("the cell is gone, and the warden has not removed it")]
    Lost,
    /// It cannot listen to who would renew it.
    #[error("cannot listen for a renewal")]
    Renewal(#[source] io::Error),
    /// It cannot pass anything on.
    #[error("cannot pass on what is said")]
    Relay(#[source] io::Error),
}

/// What the host hears when there is a cell.
pub const BORN: u8 = 1;
/// What it hears when there is none, and then why not, in words, to the end.
pub const FAILED: u8 = 0;

/// From the introduction to the end of the cell, which was removed as the host wished, or has ended by itself. To be called by a process with one thread and all rights.
///
/// Who introduces it hears [`BORN`] or [`FAILED`], and is hung up on. From then on both listeners are listened to.
pub fn live(host: OwnedFd, listeners: Listeners) -> Result<(), GuestError> {
    let host = File::from(host);
    let born = bear(&host);
    let answer = match &born {
        Ok(_) => vec![BORN],
        Err(error) => [&[FAILED], in_one_line(error).as_bytes()].concat(),
    };
    let answered = say_all(host, &answer).map_err(GuestError::Answer);
    // The warden goes when this does, and its cell with it.
    let (warden, stream, socket) = born?;
    answered?;
    let renewal = listeners.renewal;
    // It waits for as long as the machine lives.
    let renewing = std::thread::Builder::new().name("renewal".to_owned()).spawn(move || renewal::listen(&renewal));
    renewing.map_err(GuestError::Renewal)?;
    let mut lines =
        [Line::new(listeners.agent, stream, Words::Stream), Line::new(listeners.control, socket, Words::Messages)];
    pass_on(&mut lines, CONTROL_LINE).map_err(|errno| GuestError::Relay(errno.into()))?;
    drop(warden);
    let last = lines[CONTROL_LINE].last_message().map(CellReply::decode);
    if last == Some(Ok(CellReply::Removed)) { Ok(()) } else { Err(GuestError::Lost) }
}

/// The line with which the cell goes.
const CONTROL_LINE: usize = 1;

/// The warden has a copy of the socket: to close ours would not be heard of.
fn say_all(mut host: File, words: &[u8]) -> io::Result<()> {
    host.write_all(words)?;
    say_goodbye(&host)?;
    Ok(hang_up(host.into())?)
}

fn bear(host: &File) -> Result<(Warden, OwnedFd, OwnedFd), GuestError> {
    let Introduction { agent, view } = Introduction::read(io::BufReader::new(host))?;
    let warden = firebox_jail::start(&[view], agent.leak())?;
    let (stream, socket) = warden.cells().make_for_another(0)?;
    Ok((warden, stream, socket))
}

/// An error and what caused it.
fn in_one_line(error: &GuestError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(&format!(": {error}"));
        cause = error.source();
    }
    line
}
