//! The toolchains of the host that these tests run on, whichever it has.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use firebox_cell::Layout;
use firebox_lang::{Catalogue, Host, Toolchain};

/// What a path of the cell is on the host, through mounts and links, as far as links of the view go.
fn outside(toolchain: &Toolchain, inside: &Path) -> Option<PathBuf> {
    let mounts = toolchain.view.mounts.iter();
    let mount =
        mounts.filter(|mount| inside.starts_with(&mount.inside)).max_by_key(|mount| mount.inside.as_os_str().len());
    let mount = mount?;
    let rest = inside.strip_prefix(&mount.inside).ok()?;
    Some(mount.outside.join(rest))
}

#[test]
fn every_toolchain_found_here_is_visible_in_its_view_and_says_its_version() {
    let host = Host::current();
    let catalogue = Catalogue::builtin();
    let mut found = Vec::new();
    for language in catalogue.languages() {
        let toolchain = match language.find_toolchain(&host) {
            Ok(toolchain) => toolchain,
            Err(missing) => {
                assert!(missing.to_string().contains("PATH"), "{missing}");
                continue;
            }
        };
        found.push(language.name());
        for program in &toolchain.programs {
            let reached = outside(&toolchain, &program.inside).and_then(|path| path.canonicalize().ok());
            assert_eq!(reached.as_ref(), Some(&program.outside), "{}", program.inside.display());
        }

        // Outside of a cell, so by the path on the host and with this process's environment.
        let probe = language.version_probe(&toolchain, &Layout::Viewed);
        let arguments = probe.argv[1..].iter().map(|argument| OsStr::from_bytes(argument));
        let output = Command::new(&toolchain.programs[0].outside).args(arguments).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(language.parse_version(&printed).is_some(), "{}: {printed}", language.name());
    }
    // Whoever builds this has both.
    assert!(found.contains(&"rust") && found.contains(&"c"), "only {found:?}");
}

#[test]
fn no_view_shows_what_is_nobodys_business() {
    let host = Host::current();
    for language in Catalogue::builtin().languages() {
        let Ok(toolchain) = language.find_toolchain(&host) else { continue };
        let view = &toolchain.view;
        for mount in &view.mounts {
            for secret in ["/home", "/root", "/var", "/run", "/proc", "/sys", "/dev", "/etc/shadow", "/etc/ssl/private"]
            {
                assert!(!mount.inside.starts_with(secret), "{} is shown", mount.inside.display());
                assert!(!Path::new(secret).starts_with(&mount.outside), "{} is shown", mount.outside.display());
            }
            if let Some(home) = &host.home {
                assert!(!home.starts_with(&mount.outside), "{} is shown", mount.outside.display());
                assert!(!mount.inside.starts_with(home), "{} names the host", mount.inside.display());
            }
        }
        let files: Vec<_> = view.files.iter().map(|file| file.inside.as_path()).collect();
        assert!(files.contains(&Path::new("/etc/passwd")) && files.contains(&Path::new("/etc/hosts")));
    }
}

#[test]
fn finding_toolchains_costs_next_to_nothing() {
    let catalogue = Catalogue::builtin();
    let host = Host::current();
    // The best of many: a busy machine may stop any single one.
    let best = (0..50).map(|_| {
        let start = Instant::now();
        for language in catalogue.languages() {
            let _ = std::hint::black_box(language.find_toolchain(&host));
        }
        start.elapsed()
    });
    let best = best.min().unwrap_or_default();
    assert!(best < Duration::from_millis(12), "all six took {best:?}");
}
