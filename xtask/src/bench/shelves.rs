//! Places that give images, on this host: Debian's `docker-registry`, and `s3s-fs` with a bucket. And `curl`, which fetches
//! the same bytes from them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::firebox::Firebox;
use super::workshop::{NAME, Workshop};
use crate::host_packages::all_needed;
use crate::registry_server;
use crate::repository::Repository;
use crate::s3_server::S3Server;
use crate::said::done;
use crate::server::{Says, Server};

/// What a bucket is called, and who may look into it.
const BUCKET: &str = "images";
const KEY: &str = "a-key";
const SECRET: &str = "a-secret";
const REGION: &str = "us-east-1";

/// A place that has an image of one large layer. Its server ends with it.
pub(super) struct Shelf {
    kind: Kind,
    server: Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Registry,
    Bucket,
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
                let server = registry_server::start(&workshop.path("registry"))?;
                registry_server::push(image, &server, &format!("{NAME}:x"))?;
                Ok(Shelf { kind, server })
            }
            Kind::Bucket => {
                let shelf = Shelf { kind, server: bucket(&S3Server::install(repository)?, workshop)? };
                let mut upload = firebox.rootfs(home, "upload");
                shelf.say_where(upload.args(["--name", NAME]));
                done(&mut upload)?;
                Ok(shelf)
            }
        }
    }

    /// Fetches the image into a store.
    pub(super) fn ours(&self, firebox: &Firebox, home: &Path) -> Command {
        match self.kind {
            Kind::Registry => {
                let mut command = firebox.rootfs(home, "from-docker");
                command.args([
                    "--name",
                    NAME,
                    "--size",
                    "2000",
                    "--image",
                    &format!("{}/{NAME}:x", self.server.address()),
                ]);
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
                command.arg(format!("http://{}/v2/{NAME}/blobs/sha256:{hex}", self.server.address()));
            }
            Kind::Bucket => {
                command.args(["--aws-sigv4", &format!("aws:amz:{REGION}:s3"), "--user", &format!("{KEY}:{SECRET}")]);
                command.args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
                command.arg(format!("http://{}/{BUCKET}/blobs/sha256/{hex}", self.server.address()));
            }
        }
        command
    }

    fn say_where(&self, command: &mut Command) {
        command.args(["--bucket", BUCKET, "--endpoint", &format!("http://{}", self.server.address())]);
        command.envs([("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_REGION", REGION)]);
    }
}

fn bucket(installed: &S3Server, workshop: &Workshop) -> Result<Server> {
    let root = workshop.path("buckets");
    fs::create_dir_all(root.join(BUCKET)).with_context(|| format!("cannot make {}", root.display()))?;
    let mut command = Command::new(installed.program());
    command.args(["--host", "127.0.0.1", "--port", "0", "--access-key", KEY, "--secret-key", SECRET]).arg(&root);
    Server::start(command.env("RUST_LOG", "info").env("NO_COLOR", "1"), Says::Out, |line| {
        let (_, rest) = line.split_once("http://")?;
        let digits = rest.strip_prefix("127.0.0.1:")?.split(|letter: char| !letter.is_ascii_digit()).next()?;
        Some(format!("127.0.0.1:{}", digits.parse::<u16>().ok()?))
    })
}
