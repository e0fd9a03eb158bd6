//! Who stands behind us: the program that would have been found under our name if we were not there.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The program behind us, of those that a search path offers under the name we were started by.
///
/// Started by a path, we stand in its directory. Started by a name, we were the first of that name on the path, as the
/// kernel and the one who started us have just found out.
pub fn next_in_line(started_by: &Path, search_path: &OsStr) -> Option<PathBuf> {
    let name = started_by.file_name()?;
    let offers: Vec<PathBuf> = env::split_paths(search_path).filter(|directory| offers(directory, name)).collect();
    let own = match started_by.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => offers.first()?,
    };
    offers.iter().find(|directory| directory.as_path() != own).map(|directory| directory.join(name))
}

fn offers(directory: &Path, name: &OsStr) -> bool {
    let executable = |found: fs::Metadata| found.is_file() && found.permissions().mode() & 0o111 != 0;
    directory.is_absolute() && fs::metadata(directory.join(name)).is_ok_and(executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_us_stands_the_second_of_our_name_and_never_ourselves() {
        let root = tempfile::tempdir().unwrap();
        for (directory, mode) in [("ours", 0o755), ("no-program", 0o644), ("theirs", 0o755), ("others", 0o755)] {
            let directory = root.path().join(directory);
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("cc"), "").unwrap();
            fs::set_permissions(directory.join("cc"), PermissionsExt::from_mode(mode)).unwrap();
        }
        let path = |names: &[&str]| env::join_paths(names.iter().map(|name| root.path().join(name))).unwrap();
        let next = |started_by: &Path, names: &[&str]| {
            let next = next_in_line(started_by, &path(names))?;
            Some(next.strip_prefix(root.path()).unwrap().to_owned())
        };
        let (by_name, by_path) = (Path::new("cc"), root.path().join("ours/cc"));

        let all = ["nowhere", "ours", "no-program", "ours", "theirs", "others"];
        assert_eq!(next(by_name, &all), Some("theirs/cc".into()));
        assert_eq!(next(&by_path, &all), Some("theirs/cc".into()));
        assert_eq!(next(&by_path, &["theirs"]), Some("theirs/cc".into()));
        assert_eq!(next(by_name, &["ours", "ours"]), None);
    }
}
