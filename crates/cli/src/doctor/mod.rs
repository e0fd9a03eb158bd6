//! `firebox doctor`: what each kind of cell does on this host, found out by trying.

mod advice;
mod examine;
mod finding;
mod microvm;
mod report;
mod trial;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use firebox_job::CellKind;
use serde::Serialize;
use tempfile::TempDir;

use crate::args::{DoctorArgs, KindArg};
use crate::failure::Failure;
use crate::outlet;
use finding::Examined;

pub(crate) use microvm::{elsewhere, of_none as of_no_kvm};

/// Strongest first, as everywhere.
const KINDS: [KindArg; 3] = [KindArg::Microvm, KindArg::Jail, KindArg::Fence];

/// The whole answer, as data.
#[derive(Debug, Serialize)]
struct Diagnosis<'a> {
    /// The kind of cell that a job gets when nobody asks for one; null when there is none.
    default: Option<&'a str>,
    /// Which control groups there are; null when there are none that would do.
    control_groups: Option<&'a str>,
    kinds: &'a [Examined; 3],
}

/// Examines this host. Ends with 0 when the isolation is to be had that jobs get by default where nothing is lacking.
pub(crate) fn doctor(args: DoctorArgs) -> Result<ExitCode, Failure> {
    let DoctorArgs { json, of, bait } = args;
    if let (Some(kind), Some(bait)) = (of, bait) {
        outlet::say_json(&examine::examine(kind.into(), &bait)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    // Ours, while those who examine give up their rights.
    let bait = lay_bait()
        .map_err(|error| Failure::host(anyhow::Error::new(error).context("cannot make a file to try cells with")))?;
    let bait = bait.path().join(BAIT);
    let [microvm, jail, fence] = KINDS.map(|kind| UnderWay::start(kind, &bait));
    let kinds = [microvm?.finish()?, jail?.finish()?, fence?.finish()?];
    // A microVM is taken only for what there is a snapshot of.
    let default = kinds[1..].iter().find(|kind| kind.available).map(|kind| kind.kind.as_str());
    let groups = firebox_jail::control_groups();
    if json {
        let control_groups = groups.as_ref().copied().ok();
        outlet::say_json(&Diagnosis { default, control_groups, kinds: &kinds })?;
    } else {
        let groups = groups.map_or_else(|lacking| format!("none: {lacking}"), str::to_owned);
        outlet::say(&report::report(&kinds, default, &groups))?;
    }
    Ok(if default == Some(CellKind::Jail.name()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

const BAIT: &str = "file";

/// A file that anybody may read, so that nothing but the cell keeps the probe away from it.
fn lay_bait() -> io::Result<TempDir> {
    let directory = tempfile::Builder::new().prefix("doctor-").permissions(Permissions::from_mode(0o755)).tempdir()?;
    let file = directory.path().join(BAIT);
    fs::write(&file, "anybody may read this\n")?;
    fs::set_permissions(&file, Permissions::from_mode(0o644))?;
    Ok(directory)
}

/// A process that examines one kind of cell, and can give up its rights for that.
struct UnderWay {
    kind: KindArg,
    process: Child,
}

impl UnderWay {
    fn start(kind: KindArg, bait: &Path) -> Result<UnderWay, Failure> {
        let start = || {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["doctor", "--of", kind.name(), "--bait"]).arg(bait);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
        };
        start().map(|process| UnderWay { kind, process }).map_err(|error| cannot(kind, error.into()))
    }

    fn finish(self) -> Result<Examined, Failure> {
        let UnderWay { kind, process } = self;
        let output = process.wait_with_output().map_err(|error| cannot(kind, error.into()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(cannot(kind, anyhow::anyhow!("{}", said.trim().trim_start_matches("firebox: "))));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| cannot(kind, error.into()))
    }
}

fn cannot(kind: KindArg, error: anyhow::Error) -> Failure {
    Failure::host(error.context(format!("cannot examine the {}", kind.name())))
}
