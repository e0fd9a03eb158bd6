//! What went wrong with a kernel, whose doing it was, and what to do about it.

use firebox_image::{FetchError, MirrorError, NeedsError, SignatureError, StoreError};

use crate::failure::Failure;
use crate::rootfs::{is_full_disk, printable_error};

/// The store's is the host's.
pub(super) fn told_of_store(error: StoreError) -> Failure {
    let is_full = is_full_disk(&error);
    Failure::host(printable_error(error)).with_help_if(is_full.then(|| MAKE_ROOM.to_owned()))
}

const MAKE_ROOM: &str = "`firebox kernel remove` and `firebox rootfs gc` make room; `--home`, or FIREBOX_HOME, keeps kernels on another disk";

/// What is wrong with what a kernel was to be taken from is the request's.
pub(super) fn told_of_fetch(error: FetchError) -> Failure {
    if let FetchError::Store(error) = error {
        return told_of_store(error);
    }
    let help = help(&error);
    let is_hosts = match &error {
        // Nobody was wrong but the way there, or a mirror that cannot now.
        FetchError::Mirror(error) => !matches!(error, MirrorError::Status { status: 400..500, .. }),
        FetchError::Signature(SignatureError::Unchecked(_) | SignatureError::Unable(_)) => true,
        _ => false,
    };
    let error = printable_error(error);
    let failure = if is_hosts { Failure::host(error) } else { Failure::request(error) };
    failure.with_help_if(help.map(str::to_owned))
}

fn help(error: &FetchError) -> Option<&'static str> {
    match error {
        FetchError::NoModules { .. } => Some("`--modules` names their directory"),
        FetchError::OwnModules(_) => Some("`--modules` is for a kernel's file; leave it out here"),
        FetchError::Needs { needs: NeedsError::Missing(_), .. } => Some(
            "kernels for virtual machines have it, such as Debian's of the package `linux-image-cloud-amd64`; of some distributions the \
             modules are in packages of their own: unpack both, and name the kernel's file and `--modules`",
        ),
        FetchError::Mirror(MirrorError::Ask { .. } | MirrorError::Cut { .. }) => Some(
            "`--mirror` names another; `--from` takes a package that was downloaded otherwise, by `apt-get download` for one",
        ),
        FetchError::Mirror(MirrorError::Status { .. }) => Some("look at `--mirror` and `--suite`"),
        FetchError::Mirror(MirrorError::Other { .. }) => {
            Some("a mirror that is being changed is whole again later; `--mirror` names another")
        }
        FetchError::Signature(SignatureError::Wrong(_)) => {
            Some("`--keyring` names other keys, `--mirror` another mirror")
        }
        _ => None,
    }
}
