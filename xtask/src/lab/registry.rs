//! A registry of images for the lab: what Debian's own keeps of one image, as files, so that it has it in there from its start.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use anyhow::{Context, Result};

use super::kernel::said;

/// Has the registry write its files into this folder, of an image that is to have this name there.
pub(super) fn fill(folder: &Path, image: &str, name: &str) -> Result<()> {
    let config = folder.with_extension("yml");
    let settings = format!(
        "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n",
        folder.display()
    );
    fs::write(&config, settings).with_context(|| format!("cannot write {}", config.display()))?;
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut registry = command.spawn().context("cannot start docker-registry")?;
    let pushed = push(&mut registry, image, name);
    registry.kill().and_then(|()| registry.wait()).context("cannot end docker-registry")?;
    pushed
}

fn push(registry: &mut Child, image: &str, name: &str) -> Result<()> {
    let mut says = BufReader::new(registry.stderr.take().context("docker-registry says nothing")?);
    let address = listens(&mut says).context("docker-registry ended before it listened")?;
    let to = format!("docker://{address}/{name}");
    // What it goes on to say of that has room in a pipe.
    said(Command::new("skopeo").args(["copy", "--quiet", "--dest-tls-verify=false", image, &to])).map(drop)
}

/// `msg="listening on 127.0.0.1:4321"`
fn listens(says: &mut BufReader<ChildStderr>) -> Option<String> {
    let line = says.lines().map_while(Result::ok).find(|line| line.contains("listening on "))?;
    let (_, address) = line.split_once("listening on ")?;
    Some(address.split(['"', ' ']).next()?.to_owned())
}
