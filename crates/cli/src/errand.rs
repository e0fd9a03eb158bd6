//! What the user wants done, taken apart from how it was typed.

use std::path::PathBuf;

use firebox_api::Detail;
use firebox_image::{ImageName, KernelName};
use firebox_job::{Seed, SourcePath};

use crate::args::{IsolationArg, RunArgs};
use crate::choice::Target;
use crate::companion::{Companion, source_path};
use crate::draft::Wishes;
use crate::failure::Failure;
use crate::inputs::StdinSource;
use crate::live::Warnings;
use crate::machine::Start;

/// What the user wants done.
pub(crate) struct Errand {
    /// The program.
    pub(crate) target: Target,
    /// Its language, when it was named.
    pub(crate) lang: Option<String>,
    /// The image whose programs are to be used, when it was named.
    pub(crate) image: Option<ImageName>,
    /// The kernel of a microVM, when it was named.
    pub(crate) kernel: Option<KernelName>,
    /// How a microVM begins.
    pub(crate) start: Start,
    /// The file to start from, when it was named.
    pub(crate) entry: Option<SourcePath>,
    /// Other files that go along.
    pub(crate) files: Vec<Companion>,
    /// Where the program's standard input comes from.
    pub(crate) stdin: StdinSource,
    /// What becomes of the job beyond its files.
    pub(crate) wishes: Wishes,
    /// How the outcome is shown.
    pub(crate) show: Show,
}

/// How the outcome is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// As a shell would.
    Live(Warnings),
    /// As JSON.
    Json(Detail),
}

impl Errand {
    /// Makes sense of what was typed. Looks at names, opens nothing.
    pub(crate) fn new(args: RunArgs) -> Result<Errand, Failure> {
        // Exhaustive: a new flag must be decided here.
        let RunArgs {
            target,
            code,
            lang,
            image,
            files,
            entry,
            stdin,
            env,
            args,
            edition,
            profile,
            options,
            warnings,
            json,
            steps,
            trace_id,
            limits,
            isolation,
            kernel,
            snapshot,
            boot,
            require,
            fresh_seed,
        } = args;
        let target = match (code, target) {
            (Some(code), _) => Target::Text(code),
            (None, Some(path)) => Target::find(path)?,
            // The parser asks for one of them.
            (None, None) => return Err(Failure::request(anyhow::anyhow!("there is no program; name a file"))),
        };
        if kernel.is_some() && isolation != IsolationArg::Microvm {
            return Err(Failure::request(anyhow::anyhow!(
                "`--kernel` names what a microVM boots, and nothing else has one"
            ))
            .with_help("`--isolation microvm` asks for one"));
        }
        let start = match (snapshot, boot) {
            (true, _) => Start::Snapshot,
            (false, true) => Start::Boot,
            (false, false) => Start::Any,
        };
        if start != Start::Any && !matches!(isolation, IsolationArg::Auto | IsolationArg::Microvm) {
            return Err(Failure::request(anyhow::anyhow!(
                "`--snapshot` and `--boot` are about a microVM, and `--isolation` asks for something else"
            ))
            .with_help("leave one of the two out"));
        }
        let show = match (json, steps, warnings) {
            (true, true, _) => Show::Json(Detail::Steps),
            (true, false, _) => Show::Json(Detail::Summary),
            (false, _, true) => Show::Live(Warnings::Shown),
            (false, _, false) => Show::Live(Warnings::Hidden),
        };
        let seed = if fresh_seed { Seed::Fresh } else { Seed::MayBeShared };
        Ok(Errand {
            stdin: stdin_source(&target, stdin),
            target,
            lang,
            image,
            entry: entry.as_deref().map(source_path).transpose().map_err(Failure::request)?,
            files: files.iter().map(|file| Companion::find(file)).collect::<Result<_, _>>()?,
            kernel,
            start,
            wishes: Wishes { trace_id, args, env, options, edition, profile, limits, isolation, require, seed },
            show,
        })
    }
}

/// Standard input belongs to whoever reads it first: code from there leaves none for the program.
fn stdin_source(target: &Target, named: Option<PathBuf>) -> StdinSource {
    match (named, target) {
        (Some(path), _) if path.as_os_str() == "-" => StdinSource::Ours,
        (Some(path), _) => StdinSource::File(path),
        (None, Target::Stdin) => StdinSource::Empty,
        (None, Target::Text(_) | Target::File(_) | Target::Folder(_)) => StdinSource::Ours,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn errand(line: &[&str]) -> Result<Errand, String> {
        match Args::try_parse_from([&["firebox", "run"], line].concat()).unwrap().command {
            Command::Run(args) => Errand::new(*args).map_err(|failure| failure.message().unwrap_or_default()),
            other => panic!("not a run: {other:?}"),
        }
    }

    #[test]
    fn standard_input_is_the_programs_unless_the_code_took_it() {
        for (line, source) in [
            (&["--code", "x"][..], StdinSource::Ours),
            (&["-"], StdinSource::Empty),
            (&["--code", "x", "--stdin", "-"], StdinSource::Ours),
            (&["-", "--stdin", "f"], StdinSource::File("f".into())),
            (&["--code", "x", "--stdin", "f"], StdinSource::File("f".into())),
        ] {
            assert_eq!(errand(line).unwrap().stdin, source, "{line:?}");
        }
    }

    #[test]
    fn a_dot_and_a_slash_before_a_name_are_no_part_of_it() {
        let errand = errand(&["--code", "x", "--entry", "./a/./b.py", "--file", "./b.py=c.py"]).unwrap();
        assert_eq!(errand.entry.unwrap().as_str(), "a/b.py");
        assert_eq!(errand.files[0].name.as_ref().unwrap().as_str(), "b.py");
    }

    #[test]
    fn the_outcome_is_shown_as_asked_for() {
        for (flags, show) in [
            (&[][..], Show::Live(Warnings::Hidden)),
            (&["--warnings"], Show::Live(Warnings::Shown)),
            (&["--json"], Show::Json(Detail::Summary)),
            (&["--json", "--steps"], Show::Json(Detail::Steps)),
        ] {
            assert_eq!(errand(&[&["--code", "x"], flags].concat()).unwrap().show, show, "{flags:?}");
        }
    }
}
