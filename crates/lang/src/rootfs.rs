//! The root file system of an image, and what a cell sees that has it.
//!
//! What is in it was made by strangers. Its names are looked up as a process would whose root it is, so that no link leads out of
//! it, and only regular files are opened.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use firebox_cell::{Link, Mount, View};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat, openat2};

use crate::base;
use crate::find::rustup::Looks;

/// What every cell has of its own, whatever its image has there. `run` is for what runs, and nothing does yet.
const OUR_OWN: [&str; 6] = ["dev", "job", "proc", "run", "sys", "tmp"];
/// In this directory something of ours stands beside what the image has.
const SHARED: &str = "opt";
/// And this is what.
const OURS_IN_SHARED: &str = "firebox";
/// No setting of a toolchain is longer.
const TEXT_BYTES: u64 = 64 << 10;

/// The root file system of an image.
#[derive(Debug)]
pub struct Rootfs {
    name: String,
    /// Without links.
    path: PathBuf,
    root: OwnedFd,
    environment: BTreeMap<String, String>,
}

/// What a path of an image leads to.
pub(crate) struct Inside {
    /// Its path in the image, without links.
    pub(crate) path: PathBuf,
    /// Which file it is, and how long.
    file: (u64, u64),
    length: u64,
    handle: OwnedFd,
    is_file: bool,
    mode: u32,
}

impl Rootfs {
    /// The one in this directory, with the name of its image and what that wants in the environment (`NAME=value`).
    pub fn open(name: &str, path: &Path, environment: &[String]) -> io::Result<Rootfs> {
        let path = path.canonicalize()?;
        let root = open(&path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let pairs = environment.iter().filter_map(|pair| pair.split_once('='));
        let usable = |name: &str, value: &str| !name.is_empty() && !name.contains('\0') && !value.contains('\0');
        let environment = pairs.filter(|(name, value)| usable(name, value));
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Rootfs { name: name.to_owned(), path, root, environment })
    }

    /// What its image is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where it is on the host.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its image wants in the environment.
    pub(crate) fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// Where programs are looked for, in order: where its image says, and then where they are everywhere.
    pub(crate) fn search_path(&self) -> Vec<PathBuf> {
        let own = self.environment.get("PATH").map_or("", String::as_str);
        let mut path: Vec<PathBuf> = Vec::new();
        for directory in own.split(':').chain(base::SEARCH_PATH.split(':')).map(PathBuf::from) {
            if directory.is_absolute() && !path.contains(&directory) {
                path.push(directory);
            }
        }
        path
    }

    /// Where something is on the host that has this path in the image, without links.
    pub(crate) fn outside(&self, inside: &Path) -> PathBuf {
        self.path.join(inside.strip_prefix("/").unwrap_or(inside))
    }

    /// What a path leads to; none when that is nothing.
    pub(crate) fn find(&self, path: &Path) -> Option<Inside> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        let handle = openat2(&self.root, path, flags, Mode::empty(), within).ok()?;
        let outside = fs::read_link(self_fd(&handle)).ok()?;
        let stat = fstat(&handle).ok()?;
        Some(Inside {
            path: Path::new("/").join(outside.strip_prefix(&self.path).ok()?),
            file: (stat.st_dev, stat.st_ino),
            length: u64::try_from(stat.st_size).unwrap_or(0),
            is_file: FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
            mode: stat.st_mode,
            handle,
        })
    }

    /// The names in a directory, in order.
    pub(crate) fn names(&self, directory: &Path) -> Vec<String> {
        let Some(inside) = self.find(directory) else { return Vec::new() };
        let entries = fs::read_dir(self.outside(&inside.path)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    /// What a cell sees of it: all that the image has at the top, but for what is every cell's own.
    pub(crate) fn view(&self) -> io::Result<View> {
        let mut view = View { is_image: true, files: base::files(), ..View::default() };
        for (name, path) in entries(&self.path)? {
            if OUR_OWN.iter().any(|own| name == OsStr::new(own)) {
                continue;
            }
            if name != OsStr::new(SHARED) {
                add(&mut view, &path, Path::new("/").join(&name))?;
            } else if fs::symlink_metadata(&path)?.is_dir() {
                let beside = entries(&path)?.into_iter().filter(|(name, _)| name != OsStr::new(OURS_IN_SHARED));
                for (below, path) in beside {
                    add(&mut view, &path, Path::new("/").join(&name).join(below))?;
                }
            }
        }
        // What is made in a directory that is a link would be made where that leads.
        let leads_away = |inside: &Path| view.links.iter().any(|link| inside.starts_with(&link.inside));
        view.files.retain(|file| !leads_away(&file.inside));
        Ok(view)
    }
}

impl Inside {
    /// What tells it from other programs.
    pub(crate) fn looks(&self) -> Looks<'_> {
        Looks { name: self.path.file_name(), file: self.file, length: self.length }
    }

    /// Whether it is a file that can be started.
    pub(crate) fn is_executable(&self) -> bool {
        self.is_file && self.mode & 0o111 != 0
    }

    /// How it begins, as far as that; nothing where it is no file.
    pub(crate) fn head(&self, most: u64) -> Vec<u8> {
        let mut head = Vec::new();
        // What we hold is known to be a file: opening it waits for nobody.
        let opened =
            self.is_file.then(|| openat(CWD, self_fd(&self.handle), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()));
        if let Some(Ok(file)) = opened {
            // As much as could be read.
            let _ = File::from(file).take(most).read_to_end(&mut head);
        }
        head
    }

    /// What it says, if it is a short text.
    pub(crate) fn text(&self) -> Option<String> {
        String::from_utf8(self.head(TEXT_BYTES)).ok()
    }
}

fn self_fd(handle: &OwnedFd) -> PathBuf {
    use std::os::fd::AsRawFd;
    PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}

/// What is in a directory, in order.
fn entries(directory: &Path) -> io::Result<Vec<(std::ffi::OsString, PathBuf)>> {
    let entries = fs::read_dir(directory)?.map(|entry| entry.map(|entry| (entry.file_name(), entry.path())));
    let mut entries: Vec<_> = entries.collect::<io::Result<_>>()?;
    entries.sort_unstable();
    Ok(entries)
}

/// Adds what is at the top of an image, or beside something of ours. It is what it is, and what its links lead to is a matter of the cell.
fn add(view: &mut View, outside: &Path, inside: PathBuf) -> io::Result<()> {
    let found = fs::symlink_metadata(outside)?;
    if found.is_symlink() {
        view.links.push(Link { inside, target: fs::read_link(outside)? });
    } else if found.is_file() || found.nlink() > 2 || fs::read_dir(outside)?.next().is_some() {
        view.mounts.push(Mount { outside: outside.to_owned(), inside });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// An image with these directories, files and links.
    fn image(directories: &[&str], files: &[&str], links: &[(&str, &str)]) -> (tempfile::TempDir, Rootfs) {
        let place = tempfile::tempdir().unwrap();
        let at = |path: &str| place.path().join(path);
        directories.iter().for_each(|path| fs::create_dir_all(at(path)).unwrap());
        files.iter().for_each(|path| fs::write(at(path), path).unwrap());
        links.iter().for_each(|(path, target)| symlink(target, at(path)).unwrap());
        let rootfs = Rootfs::open("test", place.path(), &["PATH=/own/bin:usr/bin:/usr/bin".to_owned()]).unwrap();
        (place, rootfs)
    }

    fn shown(rootfs: &Rootfs) -> Vec<String> {
        let view = rootfs.view().unwrap();
        assert!(view.mounts.iter().all(|mount| mount.outside == rootfs.outside(&mount.inside)), "{view:?}");
        let mounts = view.mounts.iter().map(|mount| mount.inside.display().to_string());
        let links = view.links.iter().map(|link| format!("{} -> {}", link.inside.display(), link.target.display()));
        mounts.chain(links).collect()
    }

    #[test]
    fn all_of_an_image_is_shown_but_what_a_cell_has_of_its_own() {
        let directories = [
            "usr/bin",
            "etc/x",
            "proc/x",
            "dev/x",
            "tmp/x",
            "job/x",
            "sys/x",
            "run/x",
            "opt/java/x",
            "opt/firebox/x",
            "srv",
        ];
        let (_place, rootfs) =
            image(&directories, &["note", "opt/read.me"], &[("bin", "usr/bin"), ("opt/jdk", "java")]);
        assert_eq!(
            shown(&rootfs),
            ["/etc", "/note", "/opt/java", "/opt/read.me", "/usr", "/bin -> usr/bin", "/opt/jdk -> java"]
        );
        let files: Vec<_> = rootfs.view().unwrap().files.into_iter().map(|file| file.inside).collect();
        assert!(files.contains(&PathBuf::from("/etc/passwd")), "{files:?}");
    }

    #[test]
    fn nothing_is_made_through_a_link_of_the_image() {
        let (_place, rootfs) = image(&[], &[], &[("etc", "/usr"), ("opt", "/etc"), ("proc", "/x")]);
        assert_eq!(shown(&rootfs), ["/etc -> /usr"]);
        let files = rootfs.view().unwrap().files;
        assert!(files.iter().all(|file| file.inside.starts_with("/opt/firebox")), "{files:?}");
    }

    #[test]
    fn a_path_leads_where_it_would_lead_a_process_whose_root_this_is() {
        let links = [("bin", "/usr/bin"), ("usr/bin/up", "../../../../../note"), ("usr/bin/host", "/etc/passwd")];
        let (_place, rootfs) = image(&["usr/bin"], &["note", "usr/bin/cc"], &links);
        let found = |path: &str| rootfs.find(Path::new(path)).map(|inside| inside.path);
        assert_eq!(found("/bin/cc"), Some("/usr/bin/cc".into()));
        assert_eq!(found("/bin/up"), Some("/note".into()));
        assert_eq!(found("/bin/host"), None);
        assert_eq!(rootfs.find(Path::new("/bin/up")).unwrap().text().unwrap(), "note");
        assert_eq!(rootfs.find(Path::new("/bin")).unwrap().text().unwrap(), "");
        assert_eq!(rootfs.names(Path::new("/bin")), ["cc", "host", "up"]);
        assert_eq!(rootfs.search_path()[..2], [PathBuf::from("/own/bin"), PathBuf::from("/usr/bin")]);
    }
}
