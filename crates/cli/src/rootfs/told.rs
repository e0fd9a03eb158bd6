//! What went wrong with an image, whose doing it was, and what to do about it.
//!
//! What an image says of itself, and what a registry says, may stand in the message: never in a form that a terminal takes for
//! more than text.

use std::borrow::Borrow;
use std::io;

use firebox_image::{BucketError, Exceeded, RegistryError, SourceError, StoreError, TakeInError, UnpackError};

use crate::failure::Failure;
use crate::isolation::in_one_line;
use crate::outlet;
use crate::rootfs::keeper::Keeper;

/// The longest message. What is said in it by others may be longer than anybody reads.
const MOST: usize = 2000;

/// Text of others, as it can be printed on one line.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        if MOST <= shown.len() {
            shown.push('…');
            break;
        }
        match outlet::is_odd(character) {
            true => shown.extend(character.escape_unicode()),
            false => shown.push(character),
        }
    }
    shown
}

/// With all its causes.
pub(crate) fn printable_error(error: impl Into<anyhow::Error>) -> anyhow::Error {
    anyhow::anyhow!(printable(&format!("{:#}", error.into())))
}

/// The store's is the host's.
pub(crate) fn told_of_store(error: impl Borrow<StoreError>) -> Failure {
    let error: &StoreError = error.borrow();
    Failure::host(anyhow::anyhow!(printable(&in_one_line(error)))).with_help_if(help_of_disk(error))
}

/// What is wrong with a bucket, or with what was said of it, is the request's; the rest is the host's.
pub(crate) fn told_of_bucket(error: BucketError) -> Failure {
    if let BucketError::Store(error) = error {
        return told_of_store(error);
    }
    let help = help_of_bucket(&error);
    let is_requests = is_requests_of_bucket(&error);
    let error = printable_error(error);
    let failure = if is_requests { Failure::request(error) } else { Failure::host(error) };
    failure.with_help_if(help)
}

/// What is wrong with the image, or with how it was asked for, is the request's; the rest is the host's.
pub(super) fn told_of_image(error: TakeInError) -> Failure {
    let help = help(&error).or_else(|| help_of_disk(&error));
    let is_requests = is_requests(&error);
    let error = printable_error(error);
    let failure = if is_requests { Failure::request(error) } else { Failure::host(error) };
    failure.with_help_if(help)
}

fn is_requests(error: &TakeInError) -> bool {
    match error {
        TakeInError::Source(SourceError::Registry(error)) => {
            matches!(error, RegistryError::Missing { .. } | RegistryError::Denied { .. } | RegistryError::Helper { .. })
        }
        TakeInError::Source(SourceError::Bucket(error)) => is_requests_of_bucket(error),
        TakeInError::Source(_)
        | TakeInError::Layers { .. }
        | TakeInError::Transferred { .. }
        | TakeInError::Length { .. } => true,
        TakeInError::Unpack { .. } | TakeInError::Merge(_) | TakeInError::Size { .. } => true,
        TakeInError::Store(_) | TakeInError::Broken { .. } | TakeInError::Assemble(_) | TakeInError::Stopped => false,
    }
}

fn is_requests_of_bucket(error: &BucketError) -> bool {
    match error {
        BucketError::Start(_) | BucketError::Ask { .. } | BucketError::Store(_) | BucketError::Stopped => false,
        // A server that cannot now, or wants to be left alone.
        BucketError::Refused { refusal, .. } => refusal.status < 500 && refusal.status != 429,
        BucketError::Setting { .. }
        | BucketError::NoBucket { .. }
        | BucketError::Denied { .. }
        | BucketError::NoImage { .. }
        | BucketError::NoRecord { .. }
        | BucketError::Lacks { .. }
        | BucketError::Length { .. }
        | BucketError::Size { .. }
        | BucketError::Endless { .. } => true,
    }
}

fn help(error: &TakeInError) -> Option<String> {
    match error {
        TakeInError::Source(SourceError::Bucket(error)) => help_of_bucket(error),
        TakeInError::Source(SourceError::Registry(error)) => help_of_registry(error),
        TakeInError::Size { needed, .. } => Some(format!("`--size {}` is enough", needed.div_ceil(1 << 20))),
        TakeInError::Transferred { .. }
        | TakeInError::Unpack { source: UnpackError::Exceeded(Exceeded::Unpacked(_) | Exceeded::Inflated(_)), .. } => Some(
            "`--size` bounds what is unpacked and transferred for the image, and what this one needs could not be found out: \
             raise `--size` if you know the image"
                .to_owned(),
        ),
        _ => None,
    }
}

fn help_of_bucket(error: &BucketError) -> Option<String> {
    const AGAIN: &str = "try again later: what was sent or fetched is kept, and goes on from there";
    let help = match error {
        BucketError::NoBucket { place } if place.starts_with("file:") => "make that directory, or name another",
        BucketError::NoBucket { place } => Keeper::of(place).missing,
        BucketError::Denied { place, .. } => Keeper::of(place).denied,
        BucketError::Setting { place, .. } => return Keeper::of(place).nonsense.map(str::to_owned),
        BucketError::NoImage { .. } => "`firebox rootfs list --remote --bucket …` has all names",
        BucketError::Lacks { .. } | BucketError::Length { .. } | BucketError::NoRecord { .. } => DAMAGED,
        BucketError::Size { needed, .. } => {
            return Some(format!("`--size {}` allows it, if you know the image", needed.div_ceil(1 << 20)));
        }
        BucketError::Refused { refusal, .. } if refusal.status == 429 || 500 <= refusal.status => AGAIN,
        BucketError::Refused { place, .. } => Keeper::of(place).odd,
        BucketError::Ask { place, source, .. } => {
            let system = source.downcast_ref::<io::Error>().map(io::Error::kind);
            match system {
                Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                    "make room there, and try again: what was sent stays"
                }
                Some(_) => return None,
                None => Keeper::of(place).silent(),
            }
        }
        _ => return None,
    };
    Some(help.to_owned())
}

/// What to do about an image that is not whole where it is kept.
pub(super) const DAMAGED: &str = "`firebox rootfs upload --anew`, on a host that has the image, sends all of it again";

fn help_of_registry(error: &RegistryError) -> Option<String> {
    Some(match error {
        RegistryError::Missing { .. } => {
            "look at its name and tag; without a tag, `latest` is meant, and without a registry, `docker.io`".to_owned()
        }
        RegistryError::Denied { host, .. } => format!(
            "`podman login {host}` or `docker login {host}` writes down who you are; `--credentials` names another file"
        ),
        RegistryError::Helper { .. } => "`credHelpers` and `credsStore` in the credentials file name helpers, each a \
                                         program `docker-credential-NAME` on PATH; `--credentials` names another file"
            .to_owned(),
        RegistryError::Ask { .. } => "what stands before the first `/` is a registry where it has a dot or a colon; \
                                      `--mirrors` has another one asked in its place"
            .to_owned(),
        RegistryError::Unavailable { .. } => "try again later; what was transferred is kept".to_owned(),
        _ => return None,
    })
}

fn help_of_disk(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    is_full_disk(error).then(|| {
        "`firebox rootfs gc` frees what no image needs; `--home`, or FIREBOX_HOME, keeps images on another disk"
            .to_owned()
    })
}

/// Whether that there is no room was why.
pub(crate) fn is_full_disk(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(failure: &Failure) -> String {
        failure.message().unwrap_or_default()
    }

    #[test]
    fn what_others_say_is_text_and_nothing_more() {
        let what = format!("image `\u{1b}[2J\u{202e}{}`", "x".repeat(10_000));
        let missing = RegistryError::Missing { host: "h".to_owned(), what };
        let said = message(&told_of_image(SourceError::from(missing).into()));
        assert!(said.contains(r"\u{1b}[2J\u{202e}xxx") && said.len() < 2500, "{said}");
        assert_eq!(said.lines().count(), 2, "{said}");
    }

    #[test]
    fn a_full_disk_is_the_hosts_and_says_what_makes_room() {
        let full = || StoreError::Io { what: "write", path: "/x".into(), source: io::ErrorKind::StorageFull.into() };
        for failure in [told_of_store(full()), told_of_image(full().into())] {
            let said = message(&failure);
            assert!(said.contains("cannot write `/x`: no storage space") && said.contains("rootfs gc"), "{said}");
            assert!(matches!(failure, Failure::Told { blame: crate::failure::Blame::Host, .. }));
        }
        let other = StoreError::Io { what: "write", path: "/x".into(), source: io::ErrorKind::NotFound.into() };
        assert!(!message(&told_of_store(other)).contains("help"));
    }

    #[test]
    fn an_image_that_does_not_fit_says_which_size_does() {
        let failure = told_of_image(TakeInError::Size { needed: (900 << 20) + 1, allowed: 100 << 20 });
        let said = message(&failure);
        assert_eq!(
            said,
            "firebox: the image needs 901 MiB, and 100 MiB is the most it may take\n  help: `--size 901` is enough\n"
        );
    }
}
