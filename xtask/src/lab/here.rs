//! What is run on this host itself: where its KVM runs kernels, all that is listed for microVMs. No PC has to be emulated for that, and jobs boot in a moment.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::debian::{self, ON_THE_IMAGE};
use super::machine::Ending;
use super::turn::Turn;
use super::verdict::Verdict;
use crate::lines::lines_of;
use crate::s3_server;
use crate::test::Show;

/// Longer than any takes.
const LIMIT: [&str; 4] = ["timeout", "-s", "KILL", "900"];

/// Whether microVMs run here, as `firebox doctor` tells. Some tests are root's alone, and none is to be skipped.
pub(super) fn has_microvms(firebox: &Path) -> Result<bool> {
    if !rustix::process::geteuid().is_root() {
        return Ok(false);
    }
    let told = Command::new(firebox).args(["doctor", "--json"]).stdin(Stdio::null()).output();
    let told = told.context("cannot start `firebox doctor`")?;
    // It fails where there are no jails, which is not the question.
    is_told(&told.stdout).with_context(|| {
        format!("`firebox doctor` tells nothing of microVMs: {}", String::from_utf8_lossy(&told.stderr).trim())
    })
}

fn is_told(doctor: &[u8]) -> Option<bool> {
    let told: Value = serde_json::from_slice(doctor).ok()?;
    told["kinds"].as_array()?.iter().find(|kind| kind["kind"] == "microvm")?["available"].as_bool()
}

/// Runs these turns with the images and the kernel of this store and this server of S3, and shows what they say as it comes.
pub(super) fn run(turns: &[Turn<'_>], store: &Path, s3: &Path) -> Result<(Verdict, Ending)> {
    let mut verdict = Verdict::of(turns.iter().map(|turn| (turn.name.as_str(), turn.expected())));
    let mut hear = |line: &str| {
        if verdict.read(line) == Show::Yes {
            println!("{line}");
        }
    };
    for turn in turns {
        hear(&format!("lab: {} begins", turn.name));
        let ended = run_one(turn, store, s3, &mut hear)?;
        hear(&format!("lab: {} ended with {}", turn.name, ended.code().unwrap_or(-1)));
    }
    hear("lab: over");
    Ok((verdict, Ending::Ended(ExitStatus::default())))
}

fn run_one(turn: &Turn<'_>, store: &Path, s3: &Path, hear: &mut impl FnMut(&str)) -> Result<ExitStatus> {
    let words = turn.words(store, &ON_THE_IMAGE);
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    let [program, limit @ ..] = LIMIT;
    let mut command = Command::new(program);
    command.args(limit).args(&words).current_dir(&turn.program.folder).stdin(Stdio::null());
    command.stdout(writer.try_clone()?).stderr(writer);
    command.env(s3_server::VARIABLE, s3).env(debian::REGISTRY_VARIABLE, store.with_file_name(debian::REGISTRY));
    let mut child = command.spawn().with_context(|| format!("cannot start {}", turn.name))?;
    drop(command); // with it our own writing ends, else the pipe would never end
    lines_of(reader).iter().for_each(|line| hear(&line));
    let status = child.wait().context("cannot wait for a test")?;
    ensure!(status.code() != Some(125), "`timeout` cannot start {}", turn.name);
    Ok(status)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::lab::every_kind::{Kinds, Test, TestsOfFile};
    use crate::lab::programs::Program;
    use crate::lab::turn::Extent;
    use crate::test::Ended;

    #[test]
    fn what_the_doctor_tells_of_microvms_alone_counts() {
        let told = |available| {
            format!(r#"{{"kinds":[{{"kind":"jail","available":true}},{{"kind":"microvm","available":{available}}}]}}"#)
        };
        assert_eq!(is_told(told("true").as_bytes()), Some(true));
        assert_eq!(is_told(told("false").as_bytes()), Some(false));
        assert_eq!(is_told(br#"{"kinds":[]}"#), None);
        assert_eq!(is_told(b"firebox: no"), None);
    }

    /// A program in the place of tests, which checks what it is told.
    #[test]
    fn a_turn_is_told_where_the_store_is_and_its_end_is_heard() {
        let place = tempfile::tempdir().unwrap();
        let list = [TestsOfFile {
            file: "things".to_owned(),
            kinds: Kinds::MicroVms,
            tests: vec![Test { name: "hold".to_owned(), is_chosen: false }],
        }];
        let ended = |says: &str| {
            let path = place.path().join("tests");
            let checks = "[ $FIREBOX_HOME = /store ] && [ $FIREBOX_TEST_ISOLATION = microvm ] && [ ${FIREBOX_TEST_LANGUAGES##*,} = rust ] && [ $FIREBOX_TEST_S3 = /s3 ]";
            std::fs::write(&path, format!("#!/bin/sh\n{checks} && echo 'test result: ok. 1 passed;' && {says}\n"))
                .unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
            let folder = place.path().to_owned();
            let programs = [Program { name: "things".to_owned(), path, folder, is_test: true }];
            let turns = Turn::in_every_kind(&list, &programs, Extent::Full).unwrap();
            Verdict::decide(vec![run(&turns, Path::new("/store"), Path::new("/s3")).unwrap()], None).ended
        };
        assert_eq!(ended("exit 0"), Ended::Passed);
        assert!(matches!(ended("exit 3"), Ended::Failed(why) if why.contains("`things:microvm` ended with 3")));
    }
}
