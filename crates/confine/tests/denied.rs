//! What the filter denies real tools: every call of theirs against the list, printed, and compared with what is known to do
//! no harm.
//!
//! The kernel does not say whether it or the filter refused a call. A plain reading of the policy does, and is checked
//! against the answer that the tool got.

#![allow(clippy::print_stdout, reason = "what was denied is to be read")]

mod kit;
#[expect(dead_code, reason = "the build script uses the rest")]
#[path = "../build/policy.rs"]
mod policy;
#[path = "../build/reading.rs"]
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;
use syscalls::Sysno;

use crate::kit::programs;
use crate::kit::trace::Call;
use crate::policy::{Answer, Architecture, Policy};

/// What may be denied, and why its user does fine without.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectations {
    denied: Vec<Expected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    call: String,
    by: Vec<String>,
    why: String,
}

/// The policy's side: answers by number, reasons by name.
struct List {
    answers: BTreeMap<u32, Answer>,
    reasons: BTreeMap<String, String>,
    allowed: BTreeSet<String>,
}

/// Calls that the filter answered, by who made them, how they look and what the answer was, and how often.
type Denied = BTreeMap<(String, String, String), usize>;

#[test]
fn what_the_filter_denies_the_tools_of_jobs_is_known_to_do_no_harm() {
    if !Command::new("strace").arg("--version").output().is_ok_and(|it| it.status.success()) {
        println!("skipped: what the filter denies real tools: strace is not installed here");
        return;
    }
    let list = List::of(include_str!("../seccomp/job.toml"));
    let expectations: Expectations = toml::from_str(include_str!("denied.toml")).expect("denied.toml");

    let (mut denied, mut used) = (Denied::new(), BTreeSet::new());
    for program in programs::ALL.into_iter().filter(|program| program.is_present()) {
        let cell = program.cell();
        let mut printed = String::new();
        for (who, command) in program.commands {
            let (output, calls) = cell.traced(command);
            assert!(output.status.success(), "{who}: {output:?}");
            assert!(!calls.is_empty(), "strace saw nothing of {who}: {output:?}");
            printed = String::from_utf8_lossy(&output.stdout).into_owned();
            used.extend(calls.iter().map(|call| name(call.number)));
            list.add_denied(&mut denied, who, &calls);
        }
        assert_eq!(printed, program.prints, "the last of {:?}", program.commands);
    }

    // Every program that starts a thread asks for clone3 first.
    assert!(!denied.is_empty(), "nobody was denied anything, so nobody was under the filter");
    let mut unexpected = Vec::new();
    for ((who, call, error), times) in &denied {
        let reason = list.reason(call);
        let known = expectations.denied.iter().find(|it| it.call == *call && it.by.iter().any(|by| by == who));
        match known {
            Some(Expected { why, .. }) => println!("denied: {who}: {call}: {error}, {times} times: {reason}; {why}"),
            None => unexpected.push(format!("{who}: {call}: {error}, {times} times: {reason}")),
        }
    }
    let unused: Vec<&str> = list.allowed.iter().map(String::as_str).filter(|call| !used.contains(*call)).collect();
    println!("{} different calls were made; nobody here made these that are allowed: {}", used.len(), unused.join(" "));
    assert!(unexpected.is_empty(), "denied, and `denied.toml` does not say why that does no harm: {unexpected:#?}");
}

impl List {
    fn of(text: &str) -> List {
        let here = Architecture::named(std::env::consts::ARCH).expect("an architecture with filters");
        let answers = Policy::parse(text).expect("the policy").answers(here);
        let sections: toml::Table = toml::from_str(text).expect("the policy");
        let (mut reasons, mut allowed) = (BTreeMap::new(), BTreeSet::new());
        for (section, entries) in &sections {
            for entry in entries.as_array().into_iter().flatten() {
                let one = entry.get("call").into_iter();
                let calls = one.chain(entry.get("calls").and_then(|calls| calls.as_array()).into_iter().flatten());
                for call in calls.filter_map(|call| call.as_str()) {
                    let reason = entry.get("reason").and_then(|reason| reason.as_str()).unwrap_or_default();
                    reasons.insert(call.to_owned(), reason.to_owned());
                    let number = here.number(call);
                    if section == "allow" && number.is_some() {
                        allowed.insert(call.to_owned());
                    }
                }
            }
        }
        List { answers, reasons, allowed }
    }

    fn reason(&self, call: &str) -> &str {
        let name = call.split(' ').next().unwrap_or(call);
        self.reasons.get(name).map_or("it is not on the list", String::as_str)
    }

    fn add_denied(&self, denied: &mut Denied, who: &str, calls: &[Call]) {
        for call in calls {
            let Some(refusal) = reading::refusal(&self.answers, call.number, &call.arguments) else { continue };
            let answer = call.error.clone().unwrap_or_default();
            let expected = format!("{refusal:?}").to_uppercase();
            assert_eq!(answer, expected, "the filter does not say what the policy says: {who}: {call:x?}");
            *denied.entry((who.to_owned(), self.shown(call), answer)).or_default() += 1;
        }
    }

    /// The call's name, and those of its arguments that the policy looks at.
    fn shown(&self, call: &Call) -> String {
        let mut shown = name(call.number);
        if let Some(Answer::When { alternatives, .. }) = self.answers.get(&call.number) {
            let looked_at: BTreeSet<u32> = alternatives.iter().flatten().map(|condition| condition.arg).collect();
            for arg in looked_at {
                shown.push_str(&format!(" {arg}={:#x}", call.arguments[arg as usize]));
            }
        }
        shown
    }
}

fn name(number: u32) -> String {
    let known = usize::try_from(number).ok().and_then(Sysno::new);
    known.map_or_else(|| format!("number {number}"), |call| call.name().to_owned())
}
