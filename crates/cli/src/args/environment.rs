//! Settings in the environment: a name that is nearly one of them is a mistake, as it would be in a file.
//!
//! Nearly only: some who start programs put names of their own there that begin as ours do (Kubernetes has `FIREBOX_PORT` for every pod
//! beside a service that is called so).

use std::ffi::OsString;

use clap::CommandFactory;
use firebox_lang::nearest;

use crate::args::Args;

const PREFIX: &str = "FIREBOX_";

/// A variable that is nearly a setting of `serve`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is in the environment and is no setting; did you mean `{PREFIX}{nearest}`?")]
pub(crate) struct Misspelt {
    name: String,
    nearest: String,
}

/// Finds the first that is wrong.
pub(crate) fn check(names: impl Iterator<Item = OsString>) -> Result<(), Misspelt> {
    let command = Args::command();
    let mut arguments = Vec::new();
    with_all_arguments(&command, &mut arguments);
    let settings = arguments.into_iter().filter_map(|argument| argument.get_env()?.to_str()?.strip_prefix(PREFIX));
    let settings: Vec<String> = settings.map(str::to_lowercase).collect();
    for name in names {
        let Some(word) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        if settings.iter().any(|setting| setting.to_uppercase() == word) {
            continue;
        }
        if let Some(nearest) = nearest(word, settings.iter().map(String::as_str)).into_iter().next() {
            return Err(Misspelt { name: format!("{PREFIX}{word}"), nearest: nearest.to_uppercase() });
        }
    }
    Ok(())
}

/// Those of commands within commands, too.
fn with_all_arguments<'a>(command: &'a clap::Command, found: &mut Vec<&'a clap::Arg>) {
    found.extend(command.get_arguments());
    command.get_subcommands().for_each(|command| with_all_arguments(command, found));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_a_setting_is_refused_and_what_is_somebody_elses_is_not() {
        let check = |name: &str| check([OsString::from(name)].into_iter()).map_err(|error| error.to_string());
        for (name, meant) in [
            ("FIREBOX_RUNING", "FIREBOX_RUNNING"),
            ("FIREBOX_TLS_CERT", "FIREBOX_TLS_CERTIFICATE"),
            ("FIREBOX_CONECTIONS", "FIREBOX_CONNECTIONS"),
            ("FIREBOX_listen", "FIREBOX_LISTEN"),
        ] {
            let error = check(name).unwrap_err();
            assert!(error.contains(&format!("`{name}`")) && error.contains(meant), "{error}");
        }
        for name in [
            "FIREBOX_LISTEN",
            "FIREBOX_STATE",
            "FIREBOX_HOME",
            "FIREBOX_MIRRORS",
            "FIREBOX_PORT",
            "FIREBOX_SERVICE_HOST",
            "FIREBOX_PORT_8080_TCP_PROTO",
            "FIREBOX_TEST_UID",
            "PATH",
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }
}
