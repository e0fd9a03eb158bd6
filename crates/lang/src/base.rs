//! What every cell sees, whatever the language: the system's programs and libraries, and an `/etc` made for it.
//!
//! Of the host's `/etc` only what programs need to find each other: the loader's cache, and the links of Debian's
//! alternatives (`cc` and `awk` are found through them). Accounts, names and the like are made up. Left out on
//! purpose: `/etc/localtime` (a job's clock is UTC wherever it runs), certificates and keys, `/home`, `/root`,
//! `/var`, `/run`, and `/usr/local`, which holds whatever the host's owner put there.

use std::fs;
use std::path::{Path, PathBuf};

use firebox_cell::{Link, Mount, TextFile, View};

/// Links into `/usr` on a system that merged them, directories on one that did not. Libraries name their loader by
/// these paths, scripts their interpreters.
const TOP: [&str; 5] = ["/bin", "/sbin", "/lib", "/lib32", "/lib64"];

/// What nearly every program needs: other programs, libraries, and the time zones that `TZ` and Python's `zoneinfo`
/// name. `/usr/sbin` is for `ldconfig`, which Python asks where a library is.
const SYSTEM: [&str; 8] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/share/zoneinfo",
    "/etc/alternatives",
    "/etc/ld.so.cache",
];

/// Where programs are looked for in a cell: what the languages' documentation promises, for every language.
pub(crate) const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The only writable home there is.
pub(crate) const HOME: &str = "/tmp";

/// Whether the kernel grants memory before it is used, where the agent shows it to a tool that it starts ahead: allocators look
/// for it.
const OVERCOMMIT: &str = "/opt/firebox/kernel/overcommit_memory";

/// The files of `/etc`, made up: a job learns no account and no name of the host from them.
const FILES: [(&str, &str); 5] = [
    (
        "/etc/passwd",
        "root:x:0:0:root:/tmp:/bin/sh\n\
         user:x:1000:1000:user:/tmp:/bin/sh\n\
         nobody:x:65534:65534:nobody:/tmp:/bin/false\n",
    ),
    ("/etc/group", "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n"),
    ("/etc/hosts", "127.0.0.1\tlocalhost firebox\n::1\tlocalhost firebox\n"),
    ("/etc/hostname", "firebox\n"),
    ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
];

/// The view that all languages start from, of the host below `root`.
pub(crate) fn view(root: &Path) -> View {
    let mut view = View::default();
    for path in TOP.iter().chain(&SYSTEM) {
        add(&mut view, root, Path::new(path));
    }
    view.files = files();
    view
}

/// The files that are made up for every cell.
pub(crate) fn files() -> Vec<TextFile> {
    let made = |(path, content): (&str, &str)| TextFile { inside: PathBuf::from(path), content: content.to_owned() };
    let mut files: Vec<TextFile> = FILES.into_iter().map(made).collect();
    // A cell's `/proc` holds no more than its processes.
    if let Ok(content) = fs::read_to_string("/proc/sys/vm/overcommit_memory") {
        files.push(TextFile { inside: PathBuf::from(OVERCOMMIT), content });
    }
    files
}

/// Adds a path of the host to a view: as the link that it is, as a mount, or not at all when it is not there.
pub(crate) fn add(view: &mut View, root: &Path, path: &Path) {
    let covered = |mount: &Mount| path.starts_with(&mount.inside);
    if view.mounts.iter().any(covered) || view.links.iter().any(|link| link.inside == path) {
        return;
    }
    let outside = root.join(path.strip_prefix("/").unwrap_or(path));
    let Ok(found) = fs::symlink_metadata(&outside) else { return };
    if !found.is_symlink() {
        view.mounts.push(Mount { outside, inside: path.to_owned() });
    } else if let Ok(target) = fs::read_link(&outside) {
        view.links.push(Link { inside: path.to_owned(), target });
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn shown(view: &View) -> Vec<String> {
        let mounts = view.mounts.iter().map(|mount| mount.inside.display().to_string());
        let links = view.links.iter().map(|link| format!("{} -> {}", link.inside.display(), link.target.display()));
        mounts.chain(links).collect()
    }

    #[test]
    fn a_merged_system_keeps_its_links() {
        let host = tempfile::tempdir().unwrap();
        for directory in ["usr/bin", "usr/lib", "usr/lib64", "etc/alternatives", "home", "root", "var"] {
            fs::create_dir_all(host.path().join(directory)).unwrap();
        }
        for name in ["bin", "lib", "lib64"] {
            symlink(format!("usr/{name}"), host.path().join(name)).unwrap();
        }
        let expected = [
            "/usr/bin",
            "/usr/lib",
            "/usr/lib64",
            "/etc/alternatives",
            "/bin -> usr/bin",
            "/lib -> usr/lib",
            "/lib64 -> usr/lib64",
        ];
        assert_eq!(shown(&view(host.path())), expected);
    }

    #[test]
    fn an_unmerged_system_keeps_its_directories() {
        let host = tempfile::tempdir().unwrap();
        for directory in ["usr/bin", "bin", "lib"] {
            fs::create_dir_all(host.path().join(directory)).unwrap();
        }
        assert_eq!(shown(&view(host.path())), ["/bin", "/lib", "/usr/bin"]);
    }

    #[test]
    fn what_a_mount_already_shows_is_not_mounted_again() {
        let host = tempfile::tempdir().unwrap();
        fs::create_dir_all(host.path().join("usr/lib/gcc")).unwrap();
        let mut view = view(host.path());
        add(&mut view, host.path(), Path::new("/usr/lib/gcc"));
        assert_eq!(shown(&view), ["/usr/lib"]);
    }
}
