//! The words of a language file: names, paths and environments that may stand in it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use toml::Spanned;

use super::fault::Faults;
use super::fields::{self, Value};

/// Directories whose contents a language may ask for, though never for one of them whole.
const OPEN: [&str; 3] = ["/usr", "/opt", "/etc"];

/// What no job may see of `/etc`, whatever a language file says.
const SECRET: [&str; 6] = ["/etc/gshadow", "/etc/shadow", "/etc/ssh", "/etc/ssl", "/etc/sudoers", "/etc/sudoers.d"];

/// Public in spite of the directory it lies in.
const PUBLIC: &str = "/etc/ssl/certs";

/// Keeps the words that pass, and notes why the others do not; a word given twice does not pass either.
pub(crate) fn keep(
    words: Vec<Spanned<String>>,
    what: &str,
    passes: fn(&str) -> bool,
    form: &str,
    faults: &mut Faults<'_>,
) -> Vec<Spanned<String>> {
    let mut kept: Vec<Spanned<String>> = Vec::new();
    for word in words {
        if !passes(word.get_ref()) {
            faults.add(word.span(), format!("{:?} is no {what}; {form}", word.get_ref()));
        } else if kept.iter().any(|other| other.get_ref() == word.get_ref()) {
            faults.add(word.span(), format!("{what} `{}` is given twice", word.get_ref()));
        } else {
            kept.push(word);
        }
    }
    kept
}

/// What languages are called: `c++`, `objective-c`.
pub(crate) fn is_language_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+#-._".contains(c))
}

/// See [`is_language_name`].
pub(crate) const LANGUAGE_NAME: &str = "use lower-case letters, digits and `+#-._`, a letter first";

/// What files end in: `rs`, `c++`.
pub(crate) fn is_extension(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "+-_".contains(c))
}

/// See [`is_extension`].
pub(crate) const EXTENSION: &str = "use letters, digits and `+-_`, without the dot";

/// What placeholders, options and steps are called.
pub(crate) fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !matches!(word, "entry" | "sources" | "work" | "groundwork" | "vcpus" | "heap")
}

/// See [`is_name`].
pub(crate) const NAME: &str =
    "use lower-case letters, digits and `_`, a letter first, and no word that stands for something else";

/// What programs are called on a host.
pub(crate) fn is_file_name(word: &str) -> bool {
    !matches!(word, "" | "." | "..") && !word.contains(|c: char| c == '/' || c.is_control())
}

/// See [`is_file_name`].
pub(crate) const FILE_NAME: &str = "use a plain file name";

/// Whether a word can be an image of a registry. Whether it is one, whoever pulls it finds out.
pub(crate) fn is_image(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_graphic())
}

/// See [`is_image`].
pub(crate) const IMAGE: &str = "name an image of a registry, such as `python:3-slim`";

fn is_variable(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether a path is absolute and says where it leads: no `.`, no `..`, no doubled or trailing slash.
fn is_plain_absolute(path: &str) -> bool {
    let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    let path_again: PathBuf = Path::new(path).components().collect();
    path.starts_with('/')
        && !path.contains('\0')
        && Path::new(path).components().all(plain)
        && path_again.as_os_str() == path
}

/// A part of the host that jobs in the language see.
pub(crate) fn mount(path: &Spanned<String>, faults: &mut Faults<'_>) -> Option<PathBuf> {
    let text = path.get_ref();
    if !is_plain_absolute(text) {
        faults.add(path.span(), format!("{text:?} is not an absolute path without `.`, `..` and doubled slashes"));
        return None;
    }
    let wanted = Path::new(text);
    let below = OPEN.iter().any(|open| wanted.starts_with(open) && wanted != Path::new(open));
    let secret = SECRET.iter().any(|secret| wanted.starts_with(secret)) && !wanted.starts_with(PUBLIC);
    if !below || secret {
        faults.add(path.span(), format!("no job may see {text:?}; name something below /usr, /opt or /etc"));
        return None;
    }
    Some(wanted.to_owned())
}

/// A place in the cell for something of ours: below `/opt`, where no distribution keeps its system.
pub(crate) fn place(path: &Spanned<String>, faults: &mut Faults<'_>) -> Option<String> {
    let text = path.get_ref();
    if !is_plain_absolute(text) || !Path::new(text).starts_with("/opt") || text == "/opt" {
        faults.add(path.span(), format!("{text:?} is no absolute path below /opt"));
        return None;
    }
    Some(text.clone())
}

/// An environment.
pub(crate) fn environment(value: Value<'_>, faults: &mut Faults<'_>) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    for (name, value) in fields::entries(value, faults) {
        let Some(text) = fields::text(value, faults) else { continue };
        if !is_variable(name.get_ref()) {
            faults.add(name.span(), format!("{:?} is no variable; use letters, digits and `_`", name.get_ref()));
        } else if text.get_ref().contains('\0') {
            faults.add(text.span(), "an environment cannot hold a NUL".to_owned());
        } else {
            environment.insert(name.into_inner(), text.into_inner());
        }
    }
    environment
}

/// A text that must say something.
pub(crate) fn sentence(text: Option<Spanned<String>>, faults: &mut Faults<'_>) -> Option<String> {
    let text = text?;
    if text.get_ref().trim().is_empty() {
        faults.add(text.span(), "is empty; say something".to_owned());
        return None;
    }
    Some(text.into_inner())
}

/// Plain strings of strings with places.
pub(crate) fn plain(words: Vec<Spanned<String>>) -> Vec<String> {
    words.into_iter().map(Spanned::into_inner).collect()
}
