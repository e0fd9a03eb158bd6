//! Better tips than the parser's own for words that it has no place for.
//!
//! The parser knows that a word can be had behind `--`, and not that what stands there goes to the program.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Error, Parser};

use crate::args::Args;

const TWO_DASHES: &str = "arguments of the program go after `--`";

/// Takes the parser's error about these words, and gives it the tip that fits.
pub(super) fn with_fitting_tip(mut error: Error, words: &[OsString]) -> Error {
    let is_run = words.get(1).is_some_and(|word| word == "run");
    if !is_run || error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(refused)) = error.get(ContextKind::InvalidArg) else { return error };
    let is_misspelt = error.get(ContextKind::SuggestedArg).is_some();
    let tip = match file_with_a_dash(refused, words) {
        _ if !refused.starts_with('-') => format!("{TWO_DASHES}; another file goes with `--file`"),
        Some(file) if !is_misspelt => format!("a file whose name begins with a dash is written `./{file}`"),
        _ => TWO_DASHES.to_owned(),
    };
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    error
}

/// The word that begins with what was refused, if all of them make sense once it is taken for a file.
fn file_with_a_dash(refused: &str, words: &[OsString]) -> Option<String> {
    // The parser reads short flags letter by letter, and refuses the first that it does not know.
    let at = words.iter().position(|word| word.as_bytes().starts_with(refused.as_bytes()))?;
    let file = words[at].to_str()?.to_owned();
    let mut words = words.to_vec();
    words[at] = format!("./{file}").into();
    Args::try_parse_from(words).is_ok().then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_without_a_place_comes_with_the_tip_that_fits() {
        for (line, tip) in [
            (&["run", "-dash.py"][..], "a file whose name begins with a dash is written `./-dash.py`"),
            (&["run", "--dash.py"], "a file whose name begins with a dash is written `./--dash.py`"),
            (&["run", "--lang", "python", "-9"], "is written `./-9`"),
            (&["run", "main.py", "-x"], "arguments of the program go after `--`"),
            (&["run", "main.py", "--quiet"], "arguments of the program go after `--`"),
            (&["run", "main.py", "x.c"], "go after `--`; another file goes with `--file`"),
            (&["run", "main.py", "--jsno"], "a similar argument exists: '--json'"),
        ] {
            let words: Vec<OsString> = ["firebox"].iter().chain(line).map(OsString::from).collect();
            let error = with_fitting_tip(Args::try_parse_from(&words).unwrap_err(), &words).to_string();
            assert!(error.contains(tip), "{line:?}: {error}");
            assert!(!error.contains("as a value"), "{line:?}: {error}");
        }
    }

    #[test]
    fn other_mistakes_keep_the_parsers_words() {
        let words = ["firebox", "languages", "--jsn"].map(OsString::from);
        let error = with_fitting_tip(Args::try_parse_from(&words).unwrap_err(), &words).to_string();
        assert!(error.contains("'--json'"), "{error}");
    }
}
