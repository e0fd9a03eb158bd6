//! The kind of cell that jobs run in where a test does not say, and in which languages there are any.
//!
//! That is a jail, and all languages of this host. Who runs the tests somewhere else, as the lab does, says so in variables.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use super::firebox::Outcome;
use super::guard::Allowance;

/// What may be asked for instead of a jail.
const ISOLATION: &str = "FIREBOX_TEST_ISOLATION";
/// What there is, where not all is to be tested.
const LANGUAGES: &str = "FIREBOX_TEST_LANGUAGES";
/// What a job can be limited by in its cell.
const LIMITS: [&str; 9] =
    ["--timeout", "--compile-time", "--run-time", "--cpu-time", "--memory", "--tasks", "--disk", "--output", "--vcpus"];
/// To boot, and to be slow afterwards.
const BOOTING: Duration = Duration::from_secs(240);

/// Whether there are jobs in this language. What is left out on purpose is not called skipped.
pub(crate) fn is_tested(language: &str) -> bool {
    let tested = std::env::var(LANGUAGES);
    tested.map_or(true, |tested| tested.split(',').any(|one| one == language))
}

/// Whether jobs run in microVMs where a test does not say.
pub(crate) fn is_microvm() -> bool {
    std::env::var_os(ISOLATION).is_some_and(|kind| kind == "microvm")
}

/// Tells as what a job ended that ran in what was asked for.
pub(crate) fn tell_of_end(outcome: &Outcome) {
    let Some(kind) = std::env::var_os(ISOLATION) else { return };
    assert_eq!(outcome.text("isolation"), kind, "it ran in something else\n{outcome}");
    println!("{} ended: {}", told(&kind), outcome.text("status"));
}

/// For whoever runs the tests, and counts.
fn told(kind: &OsStr) -> String {
    format!("a job in a {}", kind.display())
}

/// Has a call that runs a job run it in the kind of cell that was asked for. One that is to stay word for word as it is finds that by itself, and counts as well.
pub(crate) fn ask_for(arguments: &mut Vec<OsString>, is_word_for_word: bool, allowance: &mut Allowance) {
    let Some(kind) = std::env::var_os(ISOLATION) else { return };
    let is = |argument: &OsString, word: &str| argument == OsStr::new(word);
    let runs_a_job = arguments.first().is_some_and(|command| is(command, "run") || is(command, "host"));
    if runs_a_job && !arguments.iter().any(|argument| is(argument, "--isolation")) {
        let goes_on = arguments.iter().any(|argument| is(argument, "--snapshot"));
        println!("{}{}", told(&kind), if goes_on { " from a snapshot" } else { "" });
        for limit in arguments.iter().filter(|argument| LIMITS.iter().any(|limit| is(argument, limit))) {
            println!("{} limited by: {}", told(&kind), limit.display());
        }
        if !is_word_for_word {
            arguments.extend(["--isolation".into(), kind]);
            // Whatever snapshots other tests have made.
            arguments.extend((is_microvm() && !goes_on).then(|| "--boot".into()));
        }
        allowance.wall += BOOTING;
    }
}
