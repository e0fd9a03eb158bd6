//! An image with Bash and its libraries, as `docker save` would write it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use firebox_image::Digest;
use serde_json::json;

const BASH: &str = "/bin/bash";

pub(crate) fn archive_in(place: &Path) -> PathBuf {
    let (root, saved) = (place.join("root"), place.join("saved"));
    fs::create_dir_all(&saved).unwrap();
    let mut tops: Vec<String> = Vec::new();
    for file in [BASH.to_owned()].into_iter().chain(libraries()) {
        let inside = file.trim_start_matches('/');
        let to = root.join(inside);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&file, &to).unwrap_or_else(|error| panic!("{file}: {error}"));
        let top = inside.split('/').next().unwrap().to_owned();
        if !tops.contains(&top) {
            tops.push(top);
        }
    }
    let layer = saved.join("layer.tar");
    tar(&layer, &root, &tops.iter().map(String::as_str).collect::<Vec<_>>());
    let digest = Digest::of(&fs::read(&layer).unwrap()).to_string();
    let rootfs = json!({ "type": "layers", "diff_ids": [digest] });
    let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": rootfs });
    let manifest = json!([{ "Config": "config.json", "RepoTags": ["bash:latest"], "Layers": ["layer.tar"] }]);
    fs::write(saved.join("config.json"), config.to_string()).unwrap();
    fs::write(saved.join("manifest.json"), manifest.to_string()).unwrap();
    let archive = place.join("archive.tar");
    tar(&archive, &saved, &["manifest.json", "config.json", "layer.tar"]);
    archive
}

/// What it is loaded with, as the loader tells.
fn libraries() -> Vec<String> {
    let loader = "/lib64/ld-linux-x86-64.so.2";
    let said = Command::new(loader).args(["--list", BASH]).output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let paths = said.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.map(str::to_owned).chain([loader.to_owned()]).collect()
}

fn tar(archive: &Path, directory: &Path, names: &[&str]) {
    let status = Command::new("tar").arg("-cf").arg(archive).arg("-C").arg(directory).args(names).status().unwrap();
    assert!(status.success(), "tar: {status}");
}
