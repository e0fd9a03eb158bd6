//! `firebox snapshot`: microVMs that were frozen, kept for others to go on from.

mod create;
mod inspect;
mod list;
mod listed;
mod remote;
mod remove;
mod told;
mod verify;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::anyhow;
use firebox_image::{Home, SnapshotName, Snapshots, StoreError};
use firebox_lang::nearest;

pub(crate) use told::made_again;
pub(crate) use verify::verify;

use crate::args::{ListSnapshotsArgs, SnapshotArgs, SnapshotCommand};
use crate::failure::Failure;

/// Makes snapshots, shows them, has them travel, and takes them away.
pub(crate) fn snapshot(args: SnapshotArgs) -> Result<ExitCode, Failure> {
    let SnapshotArgs { home, json, command } = args;
    // What is elsewhere is nothing that this host needs a place for.
    if let SnapshotCommand::List(ListSnapshotsArgs { remote: true, bucket: Some(bucket), endpoint }) = command {
        return remote::list(bucket, endpoint, json).map(|()| ExitCode::SUCCESS);
    }
    if let (SnapshotCommand::Create(_), Some(_)) = (&command, home.as_ref().filter(|home| !is_usual(home))) {
        let why = anyhow!("a snapshot is made of images and kernels, and those are where FIREBOX_HOME says");
        return Err(Failure::request(why).with_help("set FIREBOX_HOME instead of `--home`"));
    }
    let snapshots = open(home)?;
    match command {
        SnapshotCommand::Create(args) => create::create(&snapshots, args, json)?,
        SnapshotCommand::Upload(args) => remote::upload(&snapshots, *args, json)?,
        SnapshotCommand::Download(args) => remote::download(&snapshots, *args, json)?,
        SnapshotCommand::List(_) => list::list(&snapshots, json)?,
        SnapshotCommand::Inspect { name } => inspect::inspect(&snapshots, &name, json)?,
        SnapshotCommand::Remove { names } => remove::remove(&snapshots, &names, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether it is where everything else is as well.
fn is_usual(home: &Path) -> bool {
    Home::find(|name| env::var_os(name)).is_ok_and(|usual| usual.path() == home)
}

fn open(home: Option<PathBuf>) -> Result<Snapshots, Failure> {
    const HELP: &str = "`--home`, or the variable FIREBOX_HOME, names another directory";
    let path = match home {
        // As with any file that is named, it counts from where one is.
        Some(home) => std::path::absolute(home).map_err(Failure::host)?.join("snapshots"),
        None => Home::find(|name| env::var_os(name)).map_err(|error| Failure::host(error).with_help(HELP))?.snapshots(),
    };
    Snapshots::open(&path).map_err(|error| match error {
        error @ StoreError::Io { .. } => Failure::host(error).with_help(HELP),
        error => Failure::host(error),
    })
}

/// That there is no such snapshot, and which are.
fn unknown(known: &[SnapshotName], name: &SnapshotName) -> Failure {
    let known: Vec<String> = known.iter().map(SnapshotName::to_string).collect();
    let help = match nearest(&name.to_string(), known.iter().map(String::as_str)).into_iter().next() {
        Some(near) => format!("did you mean `{near}`? `firebox snapshot list` has all names"),
        None => "`firebox snapshot list` has all names".to_owned(),
    };
    Failure::request(anyhow!("there is no snapshot `{name}`")).with_help(help)
}
