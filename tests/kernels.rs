//! `firebox kernel`, as those meet it who want a kernel for microVMs.

#[path = "../crates/vmm/tests/kit/debian.rs"]
mod debian;
#[path = "../crates/image/tests/kit/mod.rs"]
mod images;
mod kit;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use kit::{Dice, Firebox, firebox, is_root, temp_dir, tool};
use rustix::process::Signal;
use serde_json::{Value, json};

/// What a guest cannot do without.
const WANTED: [&str; 6] = ["virtio_mmio", "virtio_blk", "virtio_rng", "vmw_vsock_virtio_transport", "erofs", "overlay"];

/// Debian's package, unpacked by Debian's own tool, too, and a directory for what firebox keeps.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let directory = temp_dir();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).unwrap();
        Place { directory }
    }

    /// None where there is no package, which is said.
    fn with_package(test: &str) -> Option<Place> {
        let package = debian::package(test)?;
        let place = Place::new();
        fs::copy(package, place.package()).unwrap();
        // Whoever calls firebox: an ordinary user may.
        fs::set_permissions(place.package(), Permissions::from_mode(0o644)).unwrap();
        images::run("dpkg-deb", &["--extract", images::text(&place.package()), images::text(&place.unpacked())]);
        Some(place)
    }

    fn package(&self) -> PathBuf {
        self.directory.path().join("package.deb")
    }

    fn unpacked(&self) -> PathBuf {
        self.directory.path().join("unpacked")
    }

    fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        path
    }

    fn call(&self, words: &[&str]) -> Firebox {
        firebox().args(["kernel", "--home", images::text(&self.home())]).args(words)
    }

    fn fetch(&self, from: &Path, more: &[&str]) -> Firebox {
        self.call(&[&["fetch", "--from", images::text(from)], more].concat())
    }

    fn json(&self, firebox: Firebox) -> Value {
        let finished = firebox.arg("--json").run();
        assert_eq!(finished.code(), 0, "{finished}");
        serde_json::from_slice(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished}"))
    }

    /// Where the only kernel is kept.
    fn kept(&self) -> PathBuf {
        let kept = self.all("unpacked");
        assert_eq!(kept.len(), 1, "{kept:?}");
        kept[0].clone()
    }

    /// Of the only kernel.
    fn initramfs(&self) -> Vec<u8> {
        let found = fs::read_dir(self.kept()).unwrap().map(|entry| entry.unwrap().path());
        let found: Vec<PathBuf> = found.filter(|path| images::text(path).contains("/initramfs-")).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        fs::read(&found[0]).unwrap()
    }

    fn all(&self, what: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.home().join("kernels").join(what)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn names(kernel: &Value) -> Vec<String> {
    let modules = kernel["modules"].as_array().unwrap();
    modules.iter().map(|module| module["name"].as_str().unwrap().to_owned()).collect()
}

/// The file in which Debian has a module.
fn debians(root: &Path, name: &str) -> PathBuf {
    let pattern = format!("{}.ko", name.replace('_', "[-_]"));
    let found = images::run("find", &[images::text(&root.join("lib/modules")), "-name", &pattern]);
    PathBuf::from(found.trim_end())
}

#[test]
fn debians_kernel_becomes_what_a_machine_begins_with() {
    let Some(place) = Place::with_package("debians_kernel_becomes_what_a_machine_begins_with") else { return };
    let kernel = place.json(place.fetch(&place.package(), &[]));
    let release = kernel["release"].as_str().unwrap().to_owned();
    assert_eq!((&kernel["name"], &kernel["from"]), (&json!(release), &json!(images::text(&place.package()))));
    let digest = images::run("sha256sum", &[images::text(&place.package())]);
    assert_eq!(kernel["package"], format!("sha256:{}", digest.split(' ').next().unwrap()));

    let kept = place.kept();
    assert!(fs::read(kept.join("kernel")).unwrap().starts_with(b"\x7FELF"));
    let modules = names(&kernel);
    let builtin = images::run("find", &[images::text(&place.unpacked()), "-name", "modules.builtin"]);
    let builtin = fs::read_to_string(builtin.trim_end()).unwrap().replace('-', "_");
    for wanted in WANTED {
        assert!(
            modules.contains(&wanted.to_owned()) || builtin.contains(&format!("/{wanted}.ko")),
            "{wanted}: {modules:?}"
        );
    }
    let mut before = BTreeSet::new();
    for name in &modules {
        let debians = fs::read(debians(&place.unpacked(), name)).unwrap();
        assert!(fs::read(kept.join("modules").join(format!("{name}.ko"))).unwrap() == debians, "{name} is another");
        for needs in depends(&debians) {
            assert!(
                before.contains(&needs) || builtin.contains(&format!("/{needs}.ko")),
                "{needs} is not before {name}"
            );
        }
        before.insert(name.clone());
    }

    // The same again is the same; a second name costs nothing.
    assert_eq!(place.json(place.fetch(&place.package(), &[])), kernel);
    let kept_before = fs::read_dir(&kept).unwrap().count();
    place.json(place.fetch(&place.package(), &["--name", "second"]));
    assert_eq!((place.kept(), fs::read_dir(&kept).unwrap().count()), (kept.clone(), kept_before));
    let listed = place.call(&["list"]).run();
    let lines: Vec<String> = listed.stdout().lines().map(str::to_owned).collect();
    assert!(
        lines[0].starts_with("NAME ") && lines[2].starts_with("second ") && lines[2].contains(&release),
        "{listed}"
    );

    place.json(place.call(&["remove", &release]));
    assert_eq!(place.kept(), kept, "another name stands for it");
    assert_eq!(place.call(&["remove", "second"]).run().stdout(), "removed second\n");
    assert_eq!((place.all("unpacked"), place.all("names"), place.all("staging")), (vec![], vec![], vec![]));
}

/// What a module says that it needs, by a look at its bytes.
fn depends(module: &[u8]) -> Vec<String> {
    let says = module.split(|byte| *byte == 0).find_map(|pair| pair.strip_prefix(b"depends="));
    let says = String::from_utf8(says.unwrap().to_vec()).unwrap();
    says.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[test]
fn an_initramfs_is_what_other_tools_read_of_it() {
    let Some(place) = Place::with_package("an_initramfs_is_what_other_tools_read_of_it") else { return };
    if !images::has(&["cpio"]) {
        return;
    }
    let kernel = place.json(place.fetch(&place.package(), &[]));
    let archive = place.initramfs();
    let listed = cpio(&archive, &["--list", "--quiet"]);
    let modules = names(&kernel).into_iter().map(|name| format!("modules/{name}.ko"));
    let expected: Vec<String> = ["dev", "dev/console", "init", "modules"]
        .map(str::to_owned)
        .into_iter()
        .chain(modules)
        .chain(["modules/order".to_owned()])
        .collect();
    assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
    let init = cpio(&archive, &["--extract", "--to-stdout", "--quiet", "init"]);
    assert!(init.starts_with("\u{7f}ELF"), "{:.20}", init);
    let order = cpio(&archive, &["--extract", "--to-stdout", "--quiet", "modules/order"]);
    let must = kernel["modules"].as_array().unwrap().iter();
    let lines = must.map(|module| {
        format!("{}{}.ko\n", if module["must"] == true { "" } else { "-" }, module["name"].as_str().unwrap())
    });
    assert_eq!(order, lines.collect::<String>());

    // Made anew elsewhere, it is the same to the bit.
    fs::remove_dir_all(place.home()).unwrap();
    place.json(place.fetch(&place.package(), &["--name", "other"]));
    assert!(place.initramfs() == archive, "another archive");
}

fn cpio(archive: &[u8], words: &[&str]) -> String {
    let mut cpio = Command::new("cpio").args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = cpio.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // It may have what it wants before it has read everything.
        scope.spawn(move || stdin.write_all(archive));
        let output = cpio.wait_with_output().unwrap();
        assert!(output.status.success(), "cpio {words:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    })
}

/// Loads what is in the initramfs, as a guest would, and says of each how that went.
const TRY: &str = r#"#!/bin/busybox sh
/bin/busybox mkdir /proc
/bin/busybox mount -t proc proc /proc
cd /modules
while read -r module; do
    /bin/busybox insmod "${module#-}" && echo "TRY loaded $module" || echo "TRY failed $module"
done < order
/bin/busybox grep -wE 'erofs|overlay' /proc/filesystems | /bin/busybox sed 's/^/TRY has /'
echo TRY done
/bin/busybox reboot -f
"#;

/// By the kernel itself, in an emulator: what is missing, or comes too late, is an unknown symbol to it.
#[test]
fn the_kernel_loads_every_module_in_this_order() {
    let Some(place) = Place::with_package("the_kernel_loads_every_module_in_this_order") else { return };
    if !images::has(&["qemu-system-x86_64", "busybox", "cpio", "timeout"]) {
        return;
    }
    let kernel = place.json(place.fetch(&place.package(), &[]));
    let more = place.directory.path().join("more");
    fs::create_dir_all(more.join("bin")).unwrap();
    fs::copy(kit::tool("busybox"), more.join("bin/busybox")).unwrap();
    fs::write(more.join("try"), TRY).unwrap();
    fs::set_permissions(more.join("try"), Permissions::from_mode(0o755)).unwrap();
    // A kernel reads one archive behind the other.
    let behind = place.directory.path().join("more.cpio");
    let script = format!(
        "cd {} && find . | cpio --create --format newc --quiet > {}",
        images::text(&more),
        images::text(&behind)
    );
    images::run("sh", &["-ec", &script]);
    let initramfs = place.file("both.cpio", &[place.initramfs(), fs::read(behind).unwrap()].concat());
    let vmlinuz = place.unpacked().join("boot").join(format!("vmlinuz-{}", kernel["release"].as_str().unwrap()));
    let said = images::run(
        "timeout",
        &[
            &[
                "120",
                "qemu-system-x86_64",
                "-accel",
                "tcg",
                "-cpu",
                "max",
                "-m",
                "256",
                "-nographic",
                "-no-reboot",
                "-nic",
                "none",
            ][..],
            &["-kernel", images::text(&vmlinuz), "-initrd", images::text(&initramfs)],
            &["-append", "console=ttyS0 quiet panic=-1 rdinit=/try"],
        ]
        .concat(),
    );
    let told: Vec<&str> = said.lines().filter_map(|line| Some(line.split_once("TRY ")?.1.trim())).collect();
    let loaded = names(&kernel).into_iter().map(|name| format!("loaded {name}.ko"));
    let expected: Vec<String> =
        loaded.chain(["has \terofs", "has nodev\toverlay", "done"].map(str::to_owned)).collect();
    assert_eq!(told, expected, "{said}");
}

#[test]
fn a_kernel_that_is_installed_somewhere_is_the_same_kernel() {
    let Some(place) = Place::with_package("a_kernel_that_is_installed_somewhere_is_the_same_kernel") else { return };
    let by_package = place.json(place.fetch(&place.package(), &[]));
    let release = by_package["release"].as_str().unwrap();
    let root = place.unpacked();
    images::run("chmod", &["-R", "a+rX", images::text(&root)]);
    let file = root.join("boot").join(format!("vmlinuz-{release}"));
    let by_file = place.json(place.fetch(&file, &["--modules", images::text(&root), "--name", "installed"]));
    for what in ["release", "kernel", "modules", "bytes"] {
        assert_eq!(by_file[what], by_package[what]);
    }
    place.kept();
    let without = place.fetch(&file, &[]).run();
    assert_eq!(without.code(), 2, "{without}");
    assert!(without.stderr().contains(&format!("no modules of {release} in `/lib/modules/")), "{without}");
    assert!(without.stderr().contains("`--modules` names their directory"), "{without}");
}

/// As it is installed where a host has its own: in a place of this test's that looks like that.
#[test]
fn the_kernel_of_the_host_is_taken_from_where_it_is_installed() {
    const NAME: &str = "the_kernel_of_the_host_is_taken_from_where_it_is_installed";
    if !is_root(NAME) {
        return;
    }
    let Some(place) = Place::with_package(NAME) else { return };
    let (boot, modules) = (place.unpacked().join("boot"), place.unpacked().join("lib/modules"));
    let by_package = place.json(place.fetch(&place.package(), &[]));
    let release = by_package["release"].as_str().unwrap();
    // The name is that of the kernel that runs; what is in the file is not. The host may have no modules, nor a place for them.
    let script = "mount -t tmpfs none /boot && cp \"$1\" \"/boot/vmlinuz-$(uname -r)\" && mount -t tmpfs none \"$3\" && mkdir \"$3/up\" \"$3/work\" &&
        mount -t overlay -o \"lowerdir=/usr/lib,upperdir=$3/up,workdir=$3/work\" none /usr/lib && mkdir -p /usr/lib/modules &&
        cp -r \"$2\" /usr/lib/modules && shift 3 && exec \"$@\"";
    let (unshare, kernel, room) =
        (tool("unshare"), boot.join(format!("vmlinuz-{release}")), place.directory.path().join("room"));
    let (kernel, modules, room) = (images::text(&kernel), modules.join(release), images::text(&room));
    fs::create_dir(room).unwrap();
    let words = [images::text(&unshare), "--mount", "sh", "-c", script, "sh", kernel, images::text(&modules), room];
    let hosts = place.json(place.call(&["fetch", "--from", "host", "--name", "hosts"]).through(words));
    for what in ["release", "kernel", "modules", "bytes"] {
        assert_eq!(hosts[what], by_package[what]);
    }
}

#[test]
fn what_is_wrong_is_said_with_what_to_do_about_it() {
    let place = Place::new();
    let text = place.file("text", b"#!/bin/sh\n");
    let archive = place.file("empty.deb", b"!<arch>\n");
    let none = place.directory.path().join("none.deb");
    for (firebox, code, says) in [
        (place.fetch(&none, &[]), 2, &["cannot read `", "none.deb", "No such file"][..]),
        (place.fetch(&text, &[]), 2, &["does not say which release of Linux it is"]),
        (place.fetch(&archive, &[]), 2, &["it is empty"]),
        (place.fetch(place.directory.path(), &[]), 2, &["is a directory", "Debian package"]),
        (place.fetch(&archive, &["--modules", "/"]), 2, &["a package, which has its own modules", "leave it out here"]),
        (place.fetch(&text, &["--name", "a/b"]), 2, &["`a/b` cannot name a kernel", "at most 64 letters"]),
        (place.call(&["remove", "other"]), 2, &["no kernel `other`", "firebox kernel list"]),
        (firebox().args(["kernel", "--home", "/proc/none", "list"]), 125, &["cannot make `/proc/none", "FIREBOX_HOME"]),
    ] {
        let finished = firebox.run();
        assert_eq!(finished.code(), code, "{finished}");
        assert!(says.iter().all(|word| finished.stderr().contains(word)), "does not say {says:?}: {finished}");
        assert_eq!(finished.stdout(), "", "{finished}");
    }
    let listed = place.call(&["list"]).run();
    assert!(listed.code() == 0 && listed.stderr().contains("there are no kernels; `firebox kernel fetch`"), "{listed}");
}

#[test]
fn whoever_is_killed_leaves_the_old_or_the_new() {
    const KILLS: u32 = 12;
    let Some(place) = Place::with_package("whoever_is_killed_leaves_the_old_or_the_new") else { return };
    let release = place.json(place.fetch(&place.package(), &["--name", "x"]))["release"].as_str().unwrap().to_owned();
    // Of files, and of those alone that are needed: a hundred times less is looked at.
    let (kernel, modules) =
        (place.unpacked().join("boot").join(format!("vmlinuz-{release}")), place.directory.path().join("modules"));
    images::run("cp", &["-r", images::text(&place.kept().join("modules")), images::text(&modules)]);
    images::run("chmod", &["-R", "a+rX", images::text(&modules), images::text(&place.unpacked())]);
    let fetch = || place.fetch(&kernel, &["--modules", images::text(&modules), "--name", "x"]);
    let begun = Instant::now();
    let expected = place.json(fetch());
    let longest = begun.elapsed();
    let seed = Dice::seed();
    let mut dice = Dice::new(seed, 0);
    let (mut came_in, mut left) = (0, 0);
    for _ in 0..KILLS {
        place.json(place.call(&["remove", "x"]));
        assert_eq!((place.all("unpacked").len(), place.all("staging").len()), (0, 0));
        let running = fetch().start();
        // Whenever it falls: this is the moment, not something that is waited for.
        std::thread::sleep(dice.up_to(longest));
        running.signal(Signal::KILL);
        let finished = running.wait();
        left += usize::from(!place.all("staging").is_empty());
        let listed = place.json(place.call(&["list"]));
        let is_in = !listed.as_array().unwrap().is_empty();
        assert!(is_in || finished.code() != 0, "seed {seed}: it said that it was done, and was not: {finished}");
        assert!(!is_in || listed[0]["modules"] == expected["modules"], "seed {seed}: half of it: {listed}");
        came_in += u32::from(is_in);
        // Whoever comes next takes away what was left.
        assert_eq!(place.json(fetch())["kernel"], expected["kernel"]);
        assert_eq!(place.all("staging"), Vec::<PathBuf>::new(), "seed {seed}");
    }
    assert!(came_in < KILLS && 0 < left, "no kill fell where it matters: {came_in}, {left}");
}
