//! `firebox kernel`, as typed.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use firebox_image::{KernelName, KernelSource, Mirror, Suite};

const EXAMPLES: &str = "\
Examples:
  firebox kernel fetch
  firebox kernel fetch --mirror https://mirror.example/debian --suite bookworm
  firebox kernel fetch --from linux-image-6.1.0-48-cloud-amd64_6.1.172-1_amd64.deb
  firebox kernel fetch --from host --name mine
  firebox kernel fetch --from vmlinuz-6.12.9 --modules root/lib/modules/6.12.9
  firebox kernel list
  firebox kernel remove mine";

/// Makes kernels of distributions ready for microVMs, and keeps them.
///
/// A kernel is unpacked once, here, and not at each boot. Of its modules those are kept that a guest needs, and what a guest begins
/// with (an initramfs) is made of them and of our own first process. Nothing is compiled, installed or run. Any number of processes may
/// use the directory at the same time, and whichever is killed leaves it sound.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KernelArgs {
    /// The directory for what firebox keeps of this user; kernels are in `kernels` below it
    /// [default: firebox in XDG_DATA_HOME, or in ~/.local/share].
    #[arg(long, value_name = "DIRECTORY", env = "FIREBOX_HOME", global = true)]
    pub(crate) home: Option<PathBuf>,
    /// Prints one line of JSON instead.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: KernelCommand,
}

/// What to do with kernels.
#[derive(Debug, Subcommand)]
pub(crate) enum KernelCommand {
    Fetch(Box<FetchArgs>),
    /// Lists the kernels that are kept.
    List,
    /// Removes kernels. Machines that run go on.
    Remove {
        /// The kernels' names.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<KernelName>,
    },
}

/// Takes a kernel, with the modules that a guest needs, under a name.
///
/// A name that stands for a kernel stands for the new one when that is here as a whole, and for the old one until then.
#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// Where it comes from: a Debian package (`.deb`); or a kernel's file, such as `/boot/vmlinuz-6.1.0-48-amd64`; or `host`,
    /// for the one that this host runs [default: Debian's newest for clouds, from a mirror].
    #[arg(long, value_name = "FILE|host", conflicts_with_all = ["mirror", "suite", "keyring"])]
    pub(crate) from: Option<FromArg>,
    /// The directory of the modules of a kernel's file: of that one, or one that has them under `lib/modules`
    /// [default: where the host has its own].
    #[arg(long, value_name = "DIRECTORY", requires = "from")]
    pub(crate) modules: Option<PathBuf>,
    /// What to call it: at most 64 letters, digits, `.`, `_`, `+` and `-`, a letter or digit first
    /// [default: its release, as `uname -r` has it].
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<KernelName>,
    /// The mirror of Debian's archive. One in plain text (`http:`) is believed only where Debian's signature can be checked.
    #[arg(long, value_name = "URL", default_value = "https://deb.debian.org/debian")]
    pub(crate) mirror: Mirror,
    /// The suite of Debian's.
    #[arg(long, value_name = "SUITE", default_value = "bookworm")]
    pub(crate) suite: Suite,
    /// The keys that what a mirror says has to be signed by [default: Debian's, where this host has them and `gpgv`; else
    /// no signature is checked, which is said].
    #[arg(long, value_name = "FILE")]
    pub(crate) keyring: Option<PathBuf>,
}

/// Where a kernel comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FromArg {
    Host,
    File(PathBuf),
}

impl FromStr for FromArg {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<FromArg, Self::Err> {
        Ok(if text == "host" { FromArg::Host } else { FromArg::File(text.into()) })
    }
}

impl FromArg {
    /// As it is said again.
    pub(crate) fn in_words(&self) -> String {
        match self {
            FromArg::Host => "host".to_owned(),
            FromArg::File(path) => path.display().to_string(),
        }
    }

    /// What that is, with these modules.
    pub(crate) fn source(self, modules: Option<PathBuf>) -> KernelSource {
        match self {
            FromArg::Host => KernelSource::host(modules),
            FromArg::File(path) => KernelSource::File { path, modules },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_with_what_does() {
        use clap::Parser;
        for (words, says) in [
            (&["--mirror", "deb.debian.org"][..], "expected `https://HOST/PATH`"),
            (&["--suite", "../x"], "no suite of Debian's"),
            (&["--name", "a/b"], "cannot name a kernel"),
            (&["--from", "x.deb", "--suite", "sid"], "--suite"),
            (&["--modules", "x"], "--from"),
        ] {
            let line = [&["firebox", "kernel", "fetch"], words].concat();
            let error = crate::args::Args::try_parse_from(line).map(drop).unwrap_err().to_string();
            assert!(error.contains(says), "{words:?}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_called_as_the_word_is_named_by_its_path() {
        assert_eq!("host".parse(), Ok(FromArg::Host));
        for path in ["./host", "/boot/vmlinuz", "x.deb"] {
            assert_eq!(path.parse(), Ok(FromArg::File(path.into())));
        }
    }
}
