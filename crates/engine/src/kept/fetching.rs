//! Files out of a cell, and into one.

use std::time::Instant;

use firebox_job::SourcePath;
use firebox_wire::{FetchOrder, Growth, Order, Refusal, Report};

use super::build::MadeFile;
use crate::RunError;
use crate::session::{Answer, Session};

const DOING: &str = "hand out what was built";

/// A file that has come out of a cell, and what its agent says besides.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) file: MadeFile,
    pub(super) blocks: u64,
    pub(super) since_stored: Growth,
}

/// What one report meant.
enum Heard {
    Made(firebox_wire::MadeFile),
    Refused,
    OutOfTurn(Answer),
}

impl Session {
    /// Has a file that a step has made handed out; none when there is no such file, or it has more bytes than that.
    ///
    /// The agent is hostile: it has to say first how much will come, no more than that is taken in, and not for longer than
    /// it may take for any other answer.
    pub(crate) fn fetch(&mut self, path: &SourcePath, most: u64) -> Result<Option<Fetched>, RunError> {
        let until = self.deadline();
        let name = path.as_str().as_bytes();
        self.send(DOING, &Order::Fetch(FetchOrder { name, most }), until)?;
        let heard = self.hear(DOING, until, |report| match report {
            Report::Made(made) => Heard::Made(*made),
            Report::Refused { what: Refusal::Fetch, errno: _ } => Heard::Refused,
            other => Heard::OutOfTurn(other.into()),
        })?;
        let made = match heard {
            Heard::Made(made) if made.bytes <= most => made,
            Heard::Made(_) | Heard::Refused => return Ok(None),
            Heard::OutOfTurn(answer) => return Err(answer.out_of_turn(DOING)),
        };
        let content = self.content(made.bytes, until)?;
        let file = MadeFile { path: path.clone(), content, is_executable: made.is_executable };
        Ok(Some(Fetched { file, blocks: made.blocks, since_stored: made.since_stored }))
    }

    /// So many bytes, which are few enough to be taken in.
    fn content(&mut self, bytes: u64, until: Instant) -> Result<Vec<u8>, RunError> {
        let mut content = Vec::with_capacity(bytes as usize);
        while (content.len() as u64) < bytes {
            let left = bytes - content.len() as u64;
            self.hear(DOING, until, |report| match report {
                // With nothing in it, it could come for ever.
                Report::Content(part) if !part.is_empty() && part.len() as u64 <= left => {
                    content.extend_from_slice(part);
                    Ok(())
                }
                other => Err(Answer::from(other).out_of_turn(DOING)),
            })??;
            if until <= Instant::now() {
                return Err(RunError::Silent { doing: DOING });
            }
        }
        Ok(content)
    }

    /// Puts a file that an earlier build has made where that build put it.
    pub(super) fn store_made(&mut self, file: &MadeFile) -> Result<(), RunError> {
        let MadeFile { path, content, is_executable } = file;
        let name = path.as_str().as_bytes();
        let begin = if *is_executable { Order::Program(name) } else { Order::File(name) };
        self.store_file(&begin, path, content)
    }
}
