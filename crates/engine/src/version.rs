//! Which version of a language a host has: what its toolchain says when it is asked, in a cell.

use firebox_job::{Outcome, Verdict};
use firebox_lang::Language;

use crate::{Engine, RunError};

/// Why a toolchain's version is not known, although it is there.
#[derive(Debug, thiserror::Error)]
pub enum UnknownVersion {
    /// It could not be asked.
    #[error("the version of {language} is not known, since it could not be asked")]
    NotAsked {
        /// The language.
        language: String,
        /// Why not.
        source: Box<RunError>,
    },
    /// It ended otherwise than well.
    #[error("the version of {language} is not known: asked for it, the toolchain ended with {verdict}")]
    Failed {
        /// The language.
        language: String,
        /// What is said of the toolchain.
        verdict: String,
    },
    /// It said something else.
    #[error("the version of {language} is not known: there is none in what the toolchain said")]
    NotSaid {
        /// The language.
        language: String,
    },
}

impl Engine {
    /// Asks the toolchain of a language (by its place in the list) for its version.
    pub fn version(&self, language: usize) -> Result<String, UnknownVersion> {
        let asked = &self.installed()[language].language;
        let name = asked.name().to_owned();
        match self.ask_version(language) {
            Ok(outcome) => version_in(asked, &outcome),
            Err(source) => Err(UnknownVersion::NotAsked { language: name, source: Box::new(source) }),
        }
    }
}

/// Takes the version out of what the toolchain said: some say it on standard output, some on standard error.
fn version_in(language: &Language, outcome: &Outcome) -> Result<String, UnknownVersion> {
    let name = || language.name().to_owned();
    if outcome.verdict != Verdict::Ok {
        return Err(UnknownVersion::Failed { language: name(), verdict: outcome.verdict.status().to_string() });
    }
    // A question is no run, so what was said is in its step alone.
    let said: Vec<u8> =
        outcome.steps.iter().flat_map(|step| [step.stdout.bytes(), step.stderr.bytes()].concat()).collect();
    language.parse_version(&String::from_utf8_lossy(&said)).ok_or_else(|| UnknownVersion::NotSaid { language: name() })
}
