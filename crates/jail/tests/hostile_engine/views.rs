//! Views that nobody should hand over: with links in the way of what is made and mounted. Whoever makes a view of what strangers made
//! leaves such out; should one come through, nothing is made where it leads.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use firebox_cell::{CellError, CellMaker, Link, Mount, TextFile, View};
use rustix::io::Errno;

use crate::engine::Engine;
use crate::idle_agent::idle_agent;

/// A tree with a directory in it, and links to that beside it.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Tree {
        let tree = Tree(tempfile::tempdir().expect("a directory"));
        fs::create_dir_all(tree.path("usr/lib")).expect("a tree");
        fs::write(tree.path("usr/lib/file"), "as it was").expect("a file");
        symlink("usr", tree.path("link")).expect("a link");
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// With its directory at the place of another, and there also what is wanted.
    fn view(&self, wanted: View) -> View {
        let View { mut mounts, links, files, .. } = wanted;
        mounts.insert(0, self.mount("/usr"));
        View { mounts, links, files, is_image: true, steps: 1, ..View::default() }
    }

    fn mount(&self, inside: &str) -> Mount {
        Mount { outside: self.path("usr"), inside: inside.into() }
    }
}

pub(crate) fn nothing_is_made_through_the_links_of_a_view(_: &Engine) {
    let tree = Tree::new();
    let link = |target: &str| vec![Link { inside: "/etc".into(), target: target.into() }];
    let file = |inside: &str| vec![TextFile { inside: inside.into(), content: "ours".to_owned() }];
    made(&tree.view(View { links: link("/usr"), ..View::default() })).expect("a link by itself is in nobody's way");
    for target in ["/usr", "usr/lib", "/", "..", "../over", "/bench", "/proc/self/cwd", "etc", "nowhere"] {
        for (what, wanted) in [
            ("a file", View { links: link(target), files: file("/etc/passwd"), ..View::default() }),
            ("a file further down", View { links: link(target), files: file("/etc/new/passwd"), ..View::default() }),
            ("a mount", View { links: link(target), mounts: vec![tree.mount("/etc/new")], ..View::default() }),
            ("a mount in its place", View { links: link(target), mounts: vec![tree.mount("/etc")], ..View::default() }),
            (
                "a link",
                View {
                    links: [link(target), vec![Link { inside: "/etc/new".into(), target: "x".into() }]].concat(),
                    ..View::default()
                },
            ),
        ] {
            let refused = made(&tree.view(wanted)).expect_err("what is in the way of others is no place for them");
            let errno = match &refused {
                CellError::Refused { source, .. } => Errno::from_io_error(source),
                other => panic!("{what} through a link to {target}: {other:?}"),
            };
            assert!(
                [Some(Errno::LOOP), Some(Errno::NOTDIR)].contains(&errno),
                "{what} through a link to {target}: {refused:?}"
            );
        }
    }
    assert_eq!(fs::read(tree.path("usr/lib/file")).expect("the file"), b"as it was");
    let below = |name: &str| fs::read_dir(tree.path(name)).expect("the tree").count();
    assert_eq!((below("usr"), below("usr/lib")), (1, 1));
    assert_eq!(fs::read_link(tree.path("link")).expect("the link"), Path::new("usr"));
}

/// A cell with this view, which is let go.
fn made(view: &View) -> Result<(), CellError> {
    let warden = firebox_jail::start(std::slice::from_ref(view), idle_agent()).expect("a warden");
    warden.cells().make(0)?.host.remove()
}
