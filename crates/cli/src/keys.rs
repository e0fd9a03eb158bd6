//! `firebox keys`: who may have jobs run by a service.

use std::process::ExitCode;

use firebox_api::{KeyLimits, ListedKey, utc};
use firebox_job::Grant;
use firebox_lang::Catalogue;
use firebox_server::StateDirectory;
use firebox_server::keys::{BookError, Entry, Key, KeyFile, KeyFileError};
use serde::Serialize;

use crate::args::{CreateArgs, KeysArgs, KeysCommand};
use crate::failure::Failure;
use crate::serve::read_file;
use crate::table::table;
use crate::{outlet, state};

/// Creates, lists and revokes.
pub(crate) fn keys(args: KeysArgs) -> Result<ExitCode, Failure> {
    let KeysArgs { state, config, json, command } = args;
    let written = || config.as_deref().map(read_file).transpose();
    let place = match state {
        Some(place) => Some(place),
        None => written()?.and_then(|words| words.state),
    };
    let Some(place) = state::place(place)? else {
        return Err(Failure::request(anyhow::anyhow!("a service without a state directory has no keys"))
            .with_help("name the directory with `--state`"));
    };
    let open = || {
        let directory = StateDirectory::open(&place).map_err(Failure::host)?;
        directory.keys_to_change().map_err(told)
    };
    match command {
        // A mistake in the request is told before anything is made.
        KeysCommand::Create(args) => grant(&args).and_then(|grant| create(&open()?, &args.name, &grant, json))?,
        KeysCommand::List => list(&open()?, json)?,
        KeysCommand::Revoke { key } => revoke(&open()?, &key, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A key that was created: the one time that it is shown.
#[derive(Serialize)]
struct Created<'a> {
    key: &'a str,
    #[serde(flatten)]
    listed: ListedKey,
}

fn grant(args: &CreateArgs) -> Result<Grant, Failure> {
    let mut grant = args.grant();
    let catalogue = Catalogue::builtin();
    for language in grant.languages.iter_mut().flatten() {
        *language = catalogue.find(language).map_err(Failure::request)?.name().to_owned();
    }
    grant.check().map_err(Failure::request)?;
    Ok(grant)
}

fn create(file: &KeyFile, name: &str, grant: &Grant, json: bool) -> Result<(), Failure> {
    let (key, entry) = file.create(name, grant).map_err(told)?;
    show(&key, &entry, json).inspect_err(|_| {
        // Nobody has it, so nobody is to have it. If this fails as well, it is a key that nobody knows.
        let _ = file.revoke(&entry.id.to_string());
    })
}

fn show(key: &Key, entry: &Entry, json: bool) -> Result<(), Failure> {
    if json {
        return outlet::say_json(&Created { key: key.reveal(), listed: listed(entry) });
    }
    outlet::say(&format!("{}\n", key.reveal()))?;
    outlet::remark(&format!("firebox: this is the key `{}`, shown this once; its id is {}\n", entry.name, entry.id));
    Ok(())
}

fn revoke(file: &KeyFile, key: &str, json: bool) -> Result<(), Failure> {
    let entry = file.revoke(key).map_err(told)?;
    match json {
        true => outlet::say_json(&listed(&entry)),
        false => outlet::say(&format!("revoked {} ({})\n", entry.id, entry.name)),
    }
}

fn list(file: &KeyFile, json: bool) -> Result<(), Failure> {
    let book = file.read().map_err(told)?;
    let keys: Vec<ListedKey> = book.entries().iter().map(listed).collect();
    if json {
        return outlet::say_json(&keys);
    }
    if keys.is_empty() {
        outlet::remark("firebox: there are no keys; `firebox keys create NAME` creates one\n");
        return Ok(());
    }
    outlet::say(&rendered(&keys))
}

fn listed(entry: &Entry) -> ListedKey {
    ListedKey {
        id: entry.id.to_string(),
        name: entry.name.clone(),
        created: utc(entry.created),
        revoked: entry.revoked.map(utc),
        limits: KeyLimits::from(&entry.grant),
    }
}

fn rendered(keys: &[ListedKey]) -> String {
    let mut rows = vec![["ID", "NAME", "CREATED", "REVOKED", "LIMITS"].map(str::to_owned)];
    for key in keys {
        let revoked = key.revoked.clone().unwrap_or_else(|| "-".to_owned());
        rows.push([key.id.clone(), key.name.clone(), key.created.clone(), revoked, in_words(&key.limits)]);
    }
    table(&rows)
}

/// `running=2 languages=python,c`, by the names that the JSON has.
fn in_words(limits: &KeyLimits) -> String {
    let as_json = serde_json::to_value(limits).unwrap_or_default();
    let words = as_json.as_object().into_iter().flatten().map(|(name, value)| {
        let several = value.as_array().map(|all| all.iter().map(word).collect::<Vec<_>>().join(","));
        format!("{name}={}", several.unwrap_or_else(|| word(value)))
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

fn word(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What does not go with the keys that there are is a mistake in the request; everything else is the host's.
fn told(error: KeyFileError) -> Failure {
    match error {
        KeyFileError::Book(error @ BookError::Unknown { .. }) => {
            Failure::request(error).with_help("`firebox keys list` has all names and ids")
        }
        KeyFileError::Book(error @ BookError::Taken { .. }) => {
            Failure::request(error).with_help("choose another name, or revoke that one first")
        }
        KeyFileError::Book(error) => Failure::request(error),
        error => Failure::host(error),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn granted(line: &[&str]) -> Result<Grant, String> {
        let words = [&["firebox", "keys", "create", "a"], line].concat();
        let args = Args::try_parse_from(words).map_err(|error| error.to_string())?;
        match args.command {
            Command::Keys(KeysArgs { command: KeysCommand::Create(args), .. }) => {
                grant(&args).map_err(|failure| failure.message().unwrap_or_default())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_typed_is_what_is_granted() {
        let grant =
            granted(&["--rate", "2.5", "--running", "3", "--languages", "rs,py", "--isolation", "jail"]).unwrap();
        let words = in_words(&KeyLimits::from(&grant));
        for part in ["requests_per_second=2.5", "burst=3", "running=3", "languages=rust,python", "isolation=jail"] {
            assert!(words.split(' ').any(|word| word == part), "{part}: {words}");
        }
        assert_eq!(in_words(&KeyLimits::from(&granted(&[]).unwrap())), "-");
        let grant = granted(&["--timeout", "10s", "--memory", "256M", "--cpu-per-day", "1h", "--queue", "0"]).unwrap();
        let words = in_words(&KeyLimits::from(&grant));
        for part in ["timeout=10", "memory_mb=256", "cpu_seconds_per_day=3600", "queue=0"] {
            assert!(words.split(' ').any(|word| word == part), "{part}: {words}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_does() {
        for (line, word) in [
            (&["--rate", "0"][..], "0 requests per second"),
            (&["--rate", "NaN"], "requests per second"),
            (&["--burst", "3"], "--rate"),
            (&["--rate", "1", "--burst", "0"], "--burst"),
            (&["--running", "0"], "--running"),
            (&["--languages", "pyton"], "python"),
            (&["--languages", ""], "no language"),
            (&["--isolation", "vm"], "microvm"),
            (&["--timeout", "0"], "`timeout` is zero"),
            (&["--memory", "1K"], "4 MiB"),
            (&["--cpu-per-day", "0"], "`cpu_per_day` is zero"),
        ] {
            let error = granted(line).unwrap_err();
            assert!(error.contains(word), "{line:?}: {error} does not say {word}");
        }
    }
}
