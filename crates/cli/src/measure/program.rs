//! A program to be measured, whose code changes from job to job.

use firebox_job::{Policy, SourceFile, Sources};
use firebox_lang::Language;

use crate::choice::Target;
use crate::failure::Failure;
use crate::inputs::{self, Inputs, StdinSource, Wanted};
use firebox_engine::random_bytes;

/// What a program says where it wants to be different every time.
const SEED: &str = "@SEED@";

/// A program, as a client sends it: code without a name of its own.
pub(super) struct Program {
    pub(super) language: Language,
    code: Vec<u8>,
}

impl Program {
    /// Reads it, as whoever called us.
    pub(super) fn read(target: Target, language: &Language, policy: &Policy) -> Result<Program, Failure> {
        let wanted = Wanted {
            target,
            files: Vec::new(),
            entry: None,
            nameless: language.entry().clone(),
            stdin: StdinSource::Empty,
            limit: policy.default.input,
        };
        let Inputs { sources, stdin: _ } = inputs::read(wanted)?;
        match sources.files() {
            [SourceFile { path: _, content }] => Ok(Program { language: language.clone(), code: content.clone() }),
            _ => Err(Failure::request(anyhow::anyhow!("a program to be measured is one file"))),
        }
    }

    /// Its files, with a number in place of the mark.
    pub(super) fn seeded(&self, seed: u64) -> Result<Sources, Failure> {
        let content = match std::str::from_utf8(&self.code) {
            Ok(text) => text.replace(SEED, &seed.to_string()).into_bytes(),
            Err(_) => replaced(&self.code, seed.to_string().as_bytes()),
        };
        let file = SourceFile { path: self.language.entry().clone(), content };
        Sources::new(vec![file], None).map_err(Failure::request)
    }
}

/// The same in bytes that are no UTF-8, as code in another encoding is.
fn replaced(bytes: &[u8], seed: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        match rest.strip_prefix(SEED.as_bytes()) {
            Some(after_mark) => {
                replaced.extend_from_slice(seed);
                rest = after_mark;
            }
            None => {
                replaced.push(first);
                rest = after;
            }
        }
    }
    replaced
}

/// Where numbers begin that no earlier process has used: what that one compiled is not met again. Below 2^30, so that it
/// is a plain integer in every language, with room to count up.
pub(super) fn first_seed() -> Result<u64, Failure> {
    let [a, b, c, d, ..] = random_bytes().map_err(Failure::host)?;
    Ok(u64::from(u32::from_be_bytes([a, b, c, d]) >> 2))
}

#[cfg(test)]
mod tests {
    use firebox_lang::Catalogue;

    use super::*;

    fn seeded(code: &[u8]) -> Vec<u8> {
        let language = Catalogue::builtin().find("python").unwrap().clone();
        let program = Program { language, code: code.to_vec() };
        program.seeded(7).unwrap().files()[0].content.clone()
    }

    #[test]
    fn a_mark_becomes_a_number_everywhere_and_other_bytes_stay() {
        assert_eq!(seeded(b"@SEED@ and @SEED@"), b"7 and 7");
        assert_eq!(seeded(b"\xff @SEED@\xfe@SEED"), b"\xff 7\xfe@SEED");
    }
}
