//! `firebox snapshot`: microVMs that were frozen, kept for others to go on from.

mod create;
mod inspect;
mod list;
mod listed;
mod remote;
mod remove;
mod told;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use firebox_image::Snapshots;

pub(crate) use told::made_again;
pub(crate) use verify::verify;

use crate::args::{ListSnapshotsArgs, SnapshotArgs, SnapshotCommand};
use crate::failure::Failure;
use crate::shelf::{Shelf, usual_home};

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
    let snapshots = Shelf::Snapshots.open(home, Snapshots::open)?;
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
    usual_home().is_ok_and(|usual| usual.path() == home)
}
