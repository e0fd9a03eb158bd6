//! A container image of some files, as `docker save` would write it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use firebox_image::Digest;
use serde_json::json;

/// Of all that is at the top of this directory. It is written beside it.
pub(crate) fn archive_of(root: &Path) -> PathBuf {
    let place = root.parent().expect("it is in a directory");
    let saved = place.join("saved");
    fs::create_dir(&saved).unwrap();
    let layer = saved.join("layer.tar");
    tar(&layer, root);
    let digest = Digest::of(&fs::read(&layer).unwrap()).to_string();
    let rootfs = json!({ "type": "layers", "diff_ids": [digest] });
    let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": rootfs });
    let manifest = json!([{ "Config": "config.json", "RepoTags": ["saved:latest"], "Layers": ["layer.tar"] }]);
    fs::write(saved.join("config.json"), config.to_string()).unwrap();
    fs::write(saved.join("manifest.json"), manifest.to_string()).unwrap();
    let archive = place.join("archive.tar");
    tar(&archive, &saved);
    archive
}

fn tar(archive: &Path, directory: &Path) {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let status = Command::new("tar").arg("-cf").arg(archive).arg("-C").arg(directory).args(names).status().unwrap();
    assert!(status.success(), "tar: {status}");
}
