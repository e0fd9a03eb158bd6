//! Which kind of cell a job gets: the one that was asked for, or the strongest that this host makes.
//!
//! Nothing is concluded from what the host looks like: a cell is made, and that it stands is the answer.

use firebox_cell::{Cell, CellError, CellMaker, View};
use firebox_job::Isolation;
use firebox_warden::{StartError, Warden};

use crate::agent::AGENT;
use crate::failure::Failure;
use crate::outlet;

/// A warden, and a first cell that it has made.
pub(crate) struct Housed {
    pub(crate) warden: Warden,
    /// With the first of the views.
    pub(crate) cell: Cell,
}

/// Why there is no cell of one kind.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoCell {
    /// Its warden could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It could not be made.
    #[error(transparent)]
    Make(#[from] CellError),
}

/// A jail was to be had no more than a fence.
#[derive(Debug, thiserror::Error)]
#[error("this host has neither a jail for it ({jail}) nor a fence ({fence})")]
struct NoneAtAll {
    jail: String,
    fence: String,
}

/// Starts the warden of a kind of cell and has it make one.
///
/// To be called with the caller's rights, and before there is any thread. When the host makes no jails and nobody asked
/// for one, there is still the fence; it is weaker, so that is said.
pub(crate) fn house(wanted: Isolation, views: &[View]) -> Result<Housed, Failure> {
    match wanted {
        Isolation::MicroVm => Err(Failure::host(anyhow::anyhow!("no microVM is made for this"))
            .with_help("use `--isolation jail`, or leave it out")),
        Isolation::Jail => jail(views).map_err(|none| {
            Failure::host(none).with_help("`firebox doctor` tells what this host lacks; `--isolation fence` needs less")
        }),
        Isolation::Fence => fence(views).map_err(Failure::host),
        Isolation::Auto => jail(views).or_else(|no_jail| match no_jail.is_for_lack_of_a_host() {
            false => Err(Failure::host(no_jail)),
            true => fence_instead(views, &no_jail),
        }),
    }
}

/// A jail of this host's.
pub(crate) fn jail(views: &[View]) -> Result<Housed, NoCell> {
    housed(firebox_jail::start(views, AGENT)?)
}

/// A fence of this host's.
pub(crate) fn fence(views: &[View]) -> Result<Housed, NoCell> {
    housed(firebox_fence::start(views, AGENT)?)
}

fn housed(warden: Warden) -> Result<Housed, NoCell> {
    let cell = warden.cells().make(0)?;
    Ok(Housed { warden, cell })
}

fn fence_instead(views: &[View], no_jail: &NoCell) -> Result<Housed, Failure> {
    let because = in_one_line(no_jail);
    let housed = fence(views).map_err(|no_fence| {
        let none = NoneAtAll { jail: because.clone(), fence: in_one_line(&no_fence) };
        Failure::host(none).with_help("`firebox doctor` tells what this host lacks")
    })?;
    outlet::remark(&format!(
        "firebox: this runs in a fence, which is weaker than a jail: {because}; `firebox doctor` tells more\n"
    ));
    Ok(housed)
}

/// An error with its causes.
pub(crate) fn in_one_line(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl NoCell {
    /// Whether the host refused what a cell is made of, rather than something that is the same for all kinds of cell or
    /// that somebody has to mend.
    fn is_for_lack_of_a_host(&self) -> bool {
        match self {
            NoCell::Start(StartError::Kernel { .. } | StartError::Unfit(_)) => true,
            NoCell::Start(
                StartError::Threads | StartError::RunDirectory { .. } | StartError::TooMany | StartError::View { .. },
            ) => false,
            NoCell::Make(CellError::Refused { .. }) => true,
            NoCell::Make(_) => false,
        }
    }
}
