//! A Debian as a container image, made by standard tools alone, and for each user of the tests a store that has it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crate::kit::{Firebox, HostInventory, Lasting, Setting, tool};
use crate::{PACKAGES, SIZE, images};

/// What makes the image.
const TOOLS: [&str; 3] = ["mmdebstrap", "skopeo", "umoci"];
/// Where the image has its Rust.
const RUST: &str = "/usr/local/rustup/toolchains/stable";
/// The jails that an image can be run on in.
pub(crate) const JAILS: [Setting; 2] = [Setting::RootJail, Setting::UserJail];

/// A Debian with this test's packages and Rust.
pub(crate) struct Debian {
    directory: Lasting,
}

impl Debian {
    /// Made once. None where it cannot be, which is said.
    pub(crate) fn find() -> Option<&'static Debian> {
        static MADE: OnceLock<Option<Debian>> = OnceLock::new();
        MADE.get_or_init(|| images::has(&TOOLS).then(Debian::make)).as_ref()
    }

    fn make() -> Debian {
        let debian = Debian { directory: Lasting::make() };
        fs::set_permissions(debian.directory.path(), Permissions::from_mode(0o755)).expect("chmod");
        let (archive, oci) = (debian.path("debian.tar"), debian.path("oci"));
        let sysroot = Command::new(tool("rustc")).args(["--print", "sysroot"]).output().expect("rustc");
        let sysroot = String::from_utf8(sysroot.stdout).expect("a path");
        // As much of Rust as compiles.
        let rust = format!(
            "mkdir -p \"$1{RUST}/bin\" && cp {0}/bin/rustc \"$1{RUST}/bin\" && cp -r {0}/lib \"$1{RUST}\"",
            sysroot.trim()
        );
        let hook = format!("--customize-hook={rust}");
        let include = format!("--include={PACKAGES}");
        images::run("mmdebstrap", &["--quiet", "--variant=minbase", &include, &hook, &release(), &archive]);
        images::run(
            "skopeo",
            &[
                "copy",
                "--quiet",
                "--dest-compress-format",
                "zstd",
                &format!("tarball:{archive}"),
                &format!("oci:{oci}:x"),
            ],
        );
        let path = format!("--config.env=PATH={RUST}/bin:/usr/local/bin:/usr/bin:/bin");
        images::run("umoci", &["config", "--image", &format!("{oci}:x"), &path, "--config.env=FROM_IMAGE=yes"]);
        images::run("chmod", &["-R", "a+rX", &oci]);
        fs::remove_file(archive).expect("the archive");
        for setting in JAILS.into_iter().filter(|setting| setting.missing().is_none()) {
            let home = debian.home(setting);
            fs::create_dir(&home).expect("a home");
            fs::set_permissions(&home, Permissions::from_mode(0o777)).expect("chmod");
            let image = format!("oci:{oci}:x");
            let taken =
                debian.call(setting, &["rootfs", "from-docker", "--name", "debian", "--size", SIZE, "--image", &image]);
            let taken = taken.within(std::time::Duration::from_secs(300)).run();
            assert_eq!(taken.code(), 0, "{taken}");
        }
        debian
    }

    pub(crate) fn path(&self, name: &str) -> String {
        images::text(&self.directory.path().join(name)).to_owned()
    }

    pub(crate) fn home(&self, setting: Setting) -> String {
        self.path(&setting.to_string().replace(' ', "-"))
    }

    pub(crate) fn call(&self, setting: Setting, words: &[&str]) -> Firebox {
        let home = Path::new(&self.home(setting)).join("firebox");
        setting.caller().env("HOME", "/nonexistent").env("FIREBOX_HOME", home).args(words)
    }

    pub(crate) fn job(&self, setting: Setting, language: &str, code: &str) -> Firebox {
        self.call(setting, &["run", "--image", "debian", "--json", "--lang", language, "--code", code])
    }
}

/// This host's release of Debian: the one that its packages are to be had of.
fn release() -> String {
    let about = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let named = about.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    named.unwrap_or("stable").trim_matches('"').to_owned()
}

/// Does it in each kind of jail that there is here.
pub(crate) fn in_each_jail(check: impl Fn(&Debian, Setting)) {
    let Some(debian) = Debian::find() else { return };
    for setting in JAILS.into_iter().filter(|setting| setting.missing().is_none()) {
        let host = HostInventory::take();
        check(debian, setting);
        host.assert_nothing_left();
    }
}
