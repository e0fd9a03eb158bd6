//! Images made by standard tools, taken in, and compared with what those tools make of them.

mod kit;

use std::path::{Path, PathBuf};

use firebox_image::{Digest, DockerArchive, OciLayout, Platform, Source, Store};
use kit::layout::Layout;
use kit::{Made, has, listing, run, store, take, text};

const TOOLS: [&str; 2] = ["umoci", "skopeo"];

fn root(store: &Store, name: &str) -> PathBuf {
    store.hold(&name.parse().unwrap()).unwrap().unwrap().tree().to_owned()
}

/// Kinds, names, times and targets, which a tree without owners and with its own permissions keeps. Of links and
/// directories `umoci` does not keep the time.
const KEPT: &str = "%y %P %l";

#[test]
fn every_way_to_write_an_image_gives_what_umoci_makes_of_it() {
    if !has(&TOOLS) {
        return;
    }
    let made = Made::image();
    let store = store(made.directory.path());
    let (oci, path) = (made.oci(), made.path().to_owned());
    run("skopeo", &["copy", &format!("oci:{path}/oci:x"), &format!("oci-archive:{path}/oci.tar:x")]);
    run("skopeo", &["copy", &format!("oci:{path}/oci:x"), &format!("docker-archive:{path}/docker.tar:name/x:y")]);
    run(
        "skopeo",
        &["copy", "--dest-compress-format", "zstd", &format!("oci:{path}/oci:x"), &format!("oci:{path}/zstd:x")],
    );
    let archive = |name: &str| Path::new(&path).join(name);
    let sources: [(&str, Box<dyn Source>); 5] = [
        ("directory", Box::new(OciLayout::directory(&oci, Some("x")).unwrap())),
        ("untagged", Box::new(OciLayout::directory(&oci, None).unwrap())),
        ("zstd", Box::new(OciLayout::directory(&archive("zstd"), Some("x")).unwrap())),
        ("archive", Box::new(OciLayout::archive(&archive("oci.tar"), Some("x")).unwrap())),
        ("docker", Box::new(DockerArchive::open(&archive("docker.tar"), None).unwrap())),
    ];
    let expected = listing(&made.reference(), KEPT);
    let mut trees = Vec::new();
    for (name, source) in sources {
        trees.push(take(&store, &*source, name).unwrap().tree);
        assert_eq!(listing(&root(&store, name), KEPT), expected, "{name}");
    }
    trees.dedup();
    assert_eq!(trees.len(), 1, "the same layers are the same tree, however they came");
    assert_eq!(store.verify().unwrap().damages, []);
}

#[test]
fn a_layer_whose_archive_ends_with_its_last_byte_is_whole() {
    if !has(&TOOLS) {
        return;
    }
    let directory = kit::workshop();
    let path = text(directory.path());
    let (image, file) = (format!("{path}/oci:x"), format!("{path}/file"));
    // Fills no block.
    std::fs::write(&file, [7; 700]).unwrap();
    run("umoci", &["init", "--layout", &format!("{path}/oci")]);
    run("umoci", &["new", "--image", &image]);
    run("umoci", &["insert", "--rootless", "--image", &image, &file, "/file"]);
    let store = store(directory.path());
    take(&store, &OciLayout::directory(&directory.path().join("oci"), Some("x")).unwrap(), "x").unwrap();
    assert_eq!(std::fs::read(root(&store, "x").join("file")).unwrap(), [7; 700]);
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    if !has(&TOOLS) {
        return;
    }
    let made = Made::image();
    let source = OciLayout::directory(&made.oci(), Some("y")).unwrap();
    let error = take(&store(made.directory.path()), &source, "x").unwrap_err().to_string();
    assert_eq!(error, format!("`{}` has no image `y`; it has x", text(&made.oci())));
}

#[test]
fn a_filesystem_image_is_sound_and_holds_what_the_image_holds() {
    if !has(&TOOLS) || !has(&["fsck.erofs"]) {
        return;
    }
    let made = Made::image();
    let store = store(made.directory.path());
    take(&store, &OciLayout::directory(&made.oci(), None).unwrap(), "x").unwrap();
    let disk = store.filesystem_image(&"x".parse().unwrap()).unwrap().unwrap();
    let (image, digest) = (disk.path(), disk.digest());

    assert_eq!(Digest::of(&std::fs::read(image).unwrap()), digest);
    let extracted = made.directory.path().join("extracted");
    run("fsck.erofs", &[&format!("--extract={}", text(&extracted)), text(image)]);
    let with = if rustix::process::geteuid().is_root() { "%y %m %U %G %n %P %l" } else { KEPT };
    // It writes a copy for each of a file's names.
    let with = with.replace("%n ", "");
    assert_eq!(listing(&extracted, &with), listing(&made.reference(), &with));
}

/// Whether the kernel can be asked to read one. Where not, that is said.
fn may_mount() -> bool {
    let kernel = std::fs::read_to_string("/proc/filesystems").unwrap();
    let may = rustix::process::geteuid().is_root() && kernel.contains("erofs");
    if !may {
        kit::skipped("mounting EROFS takes root and a kernel that has it");
    }
    may
}

#[test]
fn the_kernel_finds_the_notes_on_files_in_a_filesystem_image() {
    if !may_mount() {
        return;
    }
    let directory = kit::workshop();
    let layout = Layout::new(directory.path().join("oci"));
    layout.call(&layout.image(&Platform::of_this_host().architecture), "x");
    let store = store(directory.path());
    take(&store, &OciLayout::directory(layout.path(), None).unwrap(), "x").unwrap();
    let disk = store.filesystem_image(&"x".parse().unwrap()).unwrap().unwrap();
    let mounted = directory.path().join("mounted");
    std::fs::create_dir(&mounted).unwrap();
    run("mount", &["-t", "erofs", "-o", "ro,loop", text(disk.path()), text(&mounted)]);
    let mut value = [0; 100];
    let found = rustix::fs::getxattr(mounted.join("machine"), "user.note", value.as_mut_slice());
    run("umount", &[text(&mounted)]);
    assert_eq!(found.map(|length| value[..length].to_vec()), Ok(b"kept".to_vec()));
}

#[test]
fn the_kernel_reads_a_filesystem_image() {
    if !has(&TOOLS) || !may_mount() {
        return;
    }
    let made = Made::image();
    let store = store(made.directory.path());
    take(&store, &OciLayout::directory(&made.oci(), None).unwrap(), "x").unwrap();
    let disk = store.filesystem_image(&"x".parse().unwrap()).unwrap().unwrap();
    let image = disk.path();
    let mounted = made.directory.path().join("mounted");
    std::fs::create_dir(&mounted).unwrap();
    run("mount", &["-t", "erofs", "-o", "ro,loop", text(image), text(&mounted)]);
    let listed = std::panic::catch_unwind(|| {
        // Owners, permissions, sizes, counts of names and times, all as the image means them.
        listing(&mounted, "%y %m %U %G %P %l")
    });
    let sizes = std::panic::catch_unwind(|| run("find", &[text(&mounted), "-type", "f", "-printf", "%s %n %T@ %P\n"]));
    run("umount", &[text(&mounted)]);
    assert_eq!(listed.unwrap(), listing(&made.reference(), "%y %m %U %G %P %l"));
    let expected = run("find", &[text(&made.reference()), "-type", "f", "-printf", "%s %n %T@ %P\n"]);
    let sorted = |text: String| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    // A layer keeps whole seconds only, in this tool's way of writing it.
    assert_eq!(sorted(sizes.unwrap()), sorted(expected));
}
