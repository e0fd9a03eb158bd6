//! A registry of images on this host: Debian's `docker-registry`, and `skopeo`, which brings images there.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

use crate::said::done;
use crate::server::{Says, Server};

/// One that keeps its files in this folder, and what it is told beside it. The files stay.
pub(crate) fn start(storage: &Path) -> Result<Server> {
    let config = storage.with_extension("yml");
    let settings = format!(
        "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n",
        storage.display()
    );
    fs::write(&config, settings).with_context(|| format!("cannot write {}", config.display()))?;
    Server::start(Command::new("docker-registry").arg("serve").arg(&config), Says::Err, listens)
}

/// Brings an image there. Nobody's logins are any of its business.
pub(crate) fn push(image: &str, to: &Server, name: &str) -> Result<()> {
    let mut logins = NamedTempFile::new().context("cannot make a file")?;
    logins.write_all(b"{}").context("cannot write an empty list of logins")?;
    let mut copy = Command::new("skopeo");
    copy.args(["copy", "--quiet", "--dest-tls-verify=false", "--dest-authfile"]).arg(logins.path());
    done(copy.args([image, &format!("docker://{}/{name}", to.address())]))
}

/// `msg="listening on 127.0.0.1:4321"`
fn listens(line: &str) -> Option<String> {
    let (_, address) = line.split_once("listening on ")?;
    Some(address.split(['"', ' ']).next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_what_it_says_last_thing_before_it_listens() {
        let line = r#"time="2026-01-01T00:00:00Z" level=info msg="listening on 127.0.0.1:4321" go.version=go1.19"#;
        assert_eq!(listens(line).as_deref(), Some("127.0.0.1:4321"));
        assert_eq!(listens(r#"level=info msg="using inmemory blob descriptor cache""#), None);
    }
}
