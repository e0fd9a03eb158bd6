//! `firebox rootfs`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use firebox_image::{BucketPlace, ImageName, Mirrors, Origin, Platform};
use firebox_job::ByteSize;

use crate::args::{DownloadArgs, UploadArgs};

const EXAMPLES: &str = "\
Examples:
  firebox rootfs from-docker --name rust --image rust:alpine --size 1200
  firebox rootfs from-docker --name tools --image oci:build/image:latest --size 500
  firebox rootfs list
  firebox rootfs remove rust && firebox rootfs gc
  firebox rootfs upload --lang rust --bucket llm-firecracker
  firebox rootfs download --lang rust --bucket llm-firecracker
  firebox rootfs list --remote --bucket llm-firecracker";

/// Makes container images into root filesystems, and keeps them.
///
/// No Docker and no root is needed: an image is taken from a registry, or from what other tools have written, checked, and
/// unpacked below one directory. Images share what they have in common. Any number of processes may use the directory at
/// the same time, and whichever is killed leaves it sound. Images travel from host to host through buckets of S3, of what
/// speaks as S3 does, of Google and of Azure. `firebox run --image NAME` runs a job on one.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RootfsArgs {
    /// The directory for what firebox keeps of this user; images are in `images` below it
    /// [default: firebox in XDG_DATA_HOME, or in ~/.local/share].
    #[arg(long, value_name = "DIRECTORY", env = "FIREBOX_HOME", global = true)]
    pub(crate) home: Option<PathBuf>,
    /// What all images together may take, such as `20G` [default: as much as there is].
    #[arg(long, value_name = "SIZE", env = "FIREBOX_IMAGES_QUOTA", global = true)]
    pub(crate) quota: Option<ByteSize>,
    /// Prints one line of JSON instead.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: RootfsCommand,
}

/// What to do with images.
#[derive(Debug, Subcommand)]
pub(crate) enum RootfsCommand {
    FromDocker(Box<FromDockerArgs>),
    Upload(Box<UploadArgs>),
    Download(Box<DownloadArgs>),
    List(ListArgs),
    /// Shows all that is known of an image.
    Inspect {
        /// The image's name.
        #[arg(value_name = "NAME")]
        name: ImageName,
    },
    /// Takes names away. What they stood for goes with the next `gc`.
    Remove {
        /// The images' names.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<ImageName>,
    },
    /// Removes what no name stands for any more, and what was left half done.
    Gc,
    /// Reads everything that is kept, and compares it with what it is to be. Exits with 1 when something is damaged.
    Verify {
        /// Removes what is damaged; the next `from-docker` brings it back.
        #[arg(long)]
        repair: bool,
    },
}

/// Lists the images that are kept, or those in a bucket.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Those in a bucket.
    #[arg(long, requires = "bucket")]
    pub(crate) remote: bool,
    /// The bucket: its name, `s3://BUCKET/FOLDER`, `gs://BUCKET/FOLDER`, `az://CONTAINER/FOLDER`, or `file:///DIRECTORY` for a
    /// directory of this host.
    #[arg(long, value_name = "BUCKET", requires = "remote")]
    pub(crate) bucket: Option<BucketPlace>,
    /// The address of whoever keeps it [default: what AWS_ENDPOINT_URL, GOOGLE_BASE_URL or AZURE_STORAGE_ENDPOINT says, or
    /// Amazon's, Google's or Azure's].
    #[arg(long, value_name = "URL", requires = "remote")]
    pub(crate) endpoint: Option<String>,
}

/// Takes a container image in, under a name.
///
/// What is here already is not transferred again, and a transfer that broke off goes on where it was. A name that stands for
/// an image stands for the new one when that is here as a whole, and for the old one until then.
#[derive(Debug, Args)]
pub(crate) struct FromDockerArgs {
    /// What to call it: at most 64 letters, digits, `.`, `_`, `+` and `-`, a letter or digit first.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: ImageName,
    /// Where it comes from: an image of a registry by tag or digest, such as `rust:alpine`, `ghcr.io/some/thing:1.2`,
    /// `rust@sha256:…`; or `oci:DIRECTORY[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME:TAG]`
    /// [default: the one that the language of that name names].
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<OriginArg>,
    /// The most that its root filesystem may take, in MiB. An image that does not fit is refused, and it is said what it needs.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) size: u32,
    /// For which machine, such as `linux/arm64` [default: this one].
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<Platform>,
    /// How many layers are transferred and unpacked at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) parallel: u8,
    /// Registries that are asked in place of others: `docker.io=mirror.example:5000/hub`, several with commas between.
    #[arg(long, value_name = "REGISTRY=HOST[:PORT][/PREFIX],…", env = "FIREBOX_MIRRORS")]
    pub(crate) mirrors: Option<Mirrors>,
    /// The file with logins to registries [default: where `podman login` and `docker login` write them].
    #[arg(long, value_name = "FILE", env = "REGISTRY_AUTH_FILE")]
    pub(crate) credentials: Option<PathBuf>,
    /// Makes the disk, too, that microVMs have of it. Else the first of them waits until that is made.
    #[arg(long)]
    pub(crate) for_microvms: bool,
}

/// Where an image comes from, and how that was typed.
#[derive(Debug, Clone)]
pub(crate) struct OriginArg {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

impl std::str::FromStr for OriginArg {
    type Err = firebox_image::NoOrigin;

    fn from_str(text: &str) -> Result<OriginArg, firebox_image::NoOrigin> {
        Ok(OriginArg { text: text.to_owned(), origin: text.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::Args;

    #[test]
    fn what_makes_no_sense_is_refused_with_what_does() {
        let good = ["--name", "x", "--image", "rust", "--size", "10"];
        let with = |flag: &str, value: &str| {
            let mut words = [&["firebox", "rootfs", "from-docker"], &good[..]].concat();
            match words.iter().position(|word| *word == flag) {
                Some(at) => words[at + 1] = value,
                None => words.extend([flag, value]),
            }
            Args::try_parse_from(words).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(with("--parallel", "2"), Ok(()));
        for (flag, value, word) in [
            ("--name", "a/b", "cannot name an image: at most 64 letters"),
            ("--name", "", "`` cannot name an image"),
            ("--image", "docker-daemon:rust", "`oci:DIRECTORY`"),
            ("--image", "Rust", "small letters"),
            ("--image", "rust@sha256:1", "64 hexadecimal digits"),
            ("--size", "0", "--size"),
            ("--size", "lots", "--size"),
            ("--platform", "windows/amd64", "linux/arm64"),
            ("--parallel", "0", "1..=32"),
            ("--mirrors", "docker.io", "expected `registry=host"),
        ] {
            let error = with(flag, value).unwrap_err();
            assert!(error.contains(word), "{flag} {value}: {error}");
        }
    }
}
