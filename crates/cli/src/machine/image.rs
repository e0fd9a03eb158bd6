//! What a machine has of an image: its disk, and what a cell shows of that.

use std::path::Path;

use anyhow::anyhow;
use firebox_cell::{Mount, View};
use firebox_image::HeldDisk;

use crate::failure::Failure;
use crate::toolchains::{Found, Toolchains};

/// Where a guest has its disk mounted.
const IMAGE: &str = "/image";

/// What the cell shows, with the image where the guest has it.
pub(crate) fn view_of(found: &Found) -> Result<View, Failure> {
    let no_image = || {
        let why = anyhow!("a microVM shows a language from an image, and this language is used from the host");
        Failure::host(why).with_help(
            "`firebox rootfs from-docker` takes an image in: under the language's name, or under another that `--image` names; a jail, which a job gets by `--isolation jail`, needs none",
        )
    };
    let held = found.image.as_ref().ok_or_else(no_image)?;
    let tree = held.tree().canonicalize().map_err(Failure::host)?;
    moved(&found.toolchain.view, &tree).ok_or_else(|| {
        let why = anyhow!(
            "this language needs files that are made on the host, and a microVM shows none but its image's yet"
        );
        Failure::host(why).with_help("use `--isolation jail`")
    })
}

/// The view with all that is below this directory where the guest has the image; none if anything else is shown.
fn moved(view: &View, tree: &Path) -> Option<View> {
    let mounts = view.mounts.iter().map(|Mount { outside, inside }| {
        let below = outside.strip_prefix(tree).ok()?;
        Some(Mount { outside: Path::new(IMAGE).join(below), inside: inside.clone() })
    });
    Some(View { mounts: mounts.collect::<Option<_>>()?, ..view.clone() })
}

pub(crate) fn disk_of(toolchains: &Toolchains, found: &Found) -> Result<HeldDisk, Failure> {
    let name = found.toolchain.image.as_deref().unwrap_or_default();
    let gone = || {
        Failure::host(anyhow!("the image `{name}` is gone")).with_help("`firebox rootfs list` has all that are there")
    };
    toolchains.disk(name)?.ok_or_else(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_image_shows_is_where_the_guest_has_it_and_nothing_else_is_shown() {
        let mount = |outside: &str, inside: &str| Mount { outside: outside.into(), inside: inside.into() };
        let view = |mounts: &[(&str, &str)]| View {
            mounts: mounts.iter().map(|(outside, inside)| mount(outside, inside)).collect(),
            is_image: true,
            ..View::default()
        };
        let there =
            view(&[("/home/a/images/trees/1/root/usr", "/usr"), ("/home/a/images/trees/1/root/opt/x", "/opt/x")]);
        let tree = Path::new("/home/a/images/trees/1/root");
        assert_eq!(moved(&there, tree), Some(view(&[("/image/usr", "/usr"), ("/image/opt/x", "/opt/x")])));
        assert_eq!(moved(&view(&[("/usr", "/usr")]), tree), None);
        assert_eq!(moved(&view(&[("/home/a/images/trees/11", "/usr")]), tree), None);
    }
}
