//! Places that give images, on this host: Debian's `docker-registry`, and `s3s-fs` with a bucket. And `curl`, which fetches
//! the same bytes from them.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use super::firebox::Firebox;
use super::workshop::{NAME, Workshop, run};
use crate::host_packages::all_needed;
use crate::repository::Repository;
use crate::s3_server::S3Server;

/// What a bucket is called, and who may look into it.
const BUCKET: &str = "images";
const KEY: &str = "a-key";
const SECRET: &str = "a-secret";
const REGION: &str = "us-east-1";
/// How often it is tried to find a registry a port.
const TRIES: usize = 5;

/// A place that has an image of one large layer. Its server ends with it.
pub(super) struct Shelf {
    kind: Kind,
    _server: Server,
    /// `HOST:PORT`.
    host: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Registry,
    Bucket,
}

/// A process that is ended with this.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody is left to tell when that fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Shelf {
    /// Starts a server, and has the image brought there from a store in which it is.
    pub(super) fn fill(
        kind: Kind,
        repository: &Repository,
        firebox: &Firebox,
        workshop: &Workshop,
        image: &str,
        home: &Path,
    ) -> Result<Shelf> {
        all_needed(&["curl"])?;
        match kind {
            Kind::Registry => {
                all_needed(&["docker-registry", "skopeo"])?;
                let (server, host) = registry(workshop)?;
                let to = format!("docker://{host}/{NAME}:x");
                // Nobody's logins are any of its business.
                let logins = workshop.path("logins.json");
                std::fs::write(&logins, "{}").context("cannot write the logins")?;
                let mut copy = Command::new("skopeo");
                copy.args(["copy", "--quiet", "--dest-tls-verify=false", "--dest-authfile"]).arg(&logins);
                run(copy.args([image, &to]))?;
                Ok(Shelf { kind, _server: server, host })
            }
            Kind::Bucket => {
                let (server, host) = bucket(&S3Server::install(repository)?, workshop)?;
                let shelf = Shelf { kind, _server: server, host };
                let mut upload = firebox.rootfs(home, "upload");
                shelf.say_where(upload.args(["--name", NAME]));
                run(&mut upload)?;
                Ok(shelf)
            }
        }
    }

    /// Fetches the image into a store.
    pub(super) fn ours(&self, firebox: &Firebox, home: &Path) -> Command {
        match self.kind {
            Kind::Registry => {
                let mut command = firebox.rootfs(home, "from-docker");
                command.args(["--name", NAME, "--size", "2000", "--image", &format!("{}/{NAME}:x", self.host)]);
                command
            }
            Kind::Bucket => {
                let mut command = firebox.rootfs(home, "download");
                self.say_where(command.args(["--name", NAME]));
                command
            }
        }
    }

    /// Fetches a blob into a file.
    pub(super) fn theirs(&self, hex: &str, file: &Path) -> Command {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--output"]).arg(file);
        match self.kind {
            Kind::Registry => {
                command.arg(format!("http://{}/v2/{NAME}/blobs/sha256:{hex}", self.host));
            }
            Kind::Bucket => {
                command.args(["--aws-sigv4", &format!("aws:amz:{REGION}:s3"), "--user", &format!("{KEY}:{SECRET}")]);
                command.args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
                command.arg(format!("http://{}/{BUCKET}/blobs/sha256/{hex}", self.host));
            }
        }
        command
    }

    fn say_where(&self, command: &mut Command) {
        command.args(["--bucket", BUCKET, "--endpoint", &format!("http://{}", self.host)]);
        command.envs([("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_REGION", REGION)]);
    }
}

fn registry(workshop: &Workshop) -> Result<(Server, String)> {
    let (storage, config) = (workshop.path("registry"), workshop.path("registry.yml"));
    // A port that is free now may be somebody else's before it listens there.
    for _ in 0..TRIES {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let at = free.context("there is no free port")?;
        let storage = storage.display();
        let text = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {storage}\nhttp:\n  addr: {at}\n"
        );
        std::fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start docker-registry")?;
        let said = child.stderr.take();
        let server = Server(child);
        if said.is_some_and(|said| heard(said, |line| line.contains("listening on").then_some(())).is_some()) {
            return Ok((server, at.to_string()));
        }
    }
    bail!("docker-registry ended {TRIES} times before it listened")
}

fn bucket(installed: &S3Server, workshop: &Workshop) -> Result<(Server, String)> {
    let root = workshop.path("buckets");
    std::fs::create_dir_all(root.join(BUCKET)).with_context(|| format!("cannot make {}", root.display()))?;
    let mut command = Command::new(installed.program());
    command.args(["--host", "127.0.0.1", "--port", "0", "--access-key", KEY, "--secret-key", SECRET]).arg(&root);
    command.env("RUST_LOG", "info").env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().context("cannot start s3s-fs")?;
    let said = child.stdout.take();
    let server = Server(child);
    let port = said.and_then(|said| {
        heard(said, |line| {
            let (_, rest) = line.split_once("http://127.0.0.1:")?;
            rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u16>().ok()
        })
    });
    let port = port.ok_or_else(|| anyhow!("s3s-fs ended before it listened"))?;
    Ok((server, format!("127.0.0.1:{port}")))
}

/// What a server's words mean, once it says so. Whatever it says later is read as well, or it would wait.
fn heard<T>(said: impl Read + Send + 'static, meaning: impl Fn(&str) -> Option<T>) -> Option<T> {
    let mut lines = BufReader::new(said).lines().map_while(Result::ok);
    let heard = lines.find_map(|line| meaning(&line));
    std::thread::spawn(move || lines.for_each(drop));
    heard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_waited_for_until_it_says_what_is_to_be_known_or_has_ended() {
        let number = |text: &'static str| heard(text.as_bytes(), |line| line.parse::<u32>().ok());
        assert_eq!(number("starting\n80\nmore\n"), Some(80));
        assert_eq!(number("starting\n"), None);
    }
}
