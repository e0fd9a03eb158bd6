//! `firebox languages`: what this host can run, and what it lacks.
//!
//! Programs are found by looking; a version is what the toolchain says when it is run, and that happens in a cell,
//! like everything else that is run. A host that cannot make a cell still gets its list, without versions.

use std::process::ExitCode;

use firebox_engine::{Engine, Installed};
use firebox_job::{Isolation, Outcome, Policy, Verdict};
use firebox_lang::{Catalogue, Host, Language};

use crate::args::{LanguagesArgs, LanguagesCommand};
use crate::check;
use crate::failure::Failure;
use crate::host;
use crate::isolation::{self, Housed};
use crate::listing::{Listing, rendered};
use crate::outlet;

/// Lists languages, or checks their files.
pub(crate) fn languages(args: LanguagesArgs) -> Result<ExitCode, Failure> {
    let LanguagesArgs { json, command } = args;
    if let Some(LanguagesCommand::Check { files }) = command {
        return check::check(&files);
    }
    let (listings, remarks) = listings()?;
    if json {
        outlet::say_json(&listings)?;
    } else {
        outlet::say(&rendered(&listings))?;
    }
    outlet::remark(&remarks);
    Ok(ExitCode::SUCCESS)
}

/// All languages, and in words why a version is not known, where it is not.
fn listings() -> Result<(Vec<Listing>, String), Failure> {
    let policy = host::policy()?;
    let catalogue = Catalogue::builtin();
    let host = Host::current();
    let mut listings = Vec::new();
    let mut installed = Vec::new();
    // Which listing each of them belongs to.
    let mut places = Vec::new();
    for language in catalogue.languages() {
        let listing = match language.find_toolchain(&host) {
            Ok(toolchain) => {
                places.push(listings.len());
                let listing = Listing::of(language).with(&toolchain);
                installed.push(Installed::new(language.clone(), toolchain));
                listing
            }
            Err(missing) => Listing::of(language).without(&missing),
        };
        listings.push(listing);
    }
    let mut remarks = String::new();
    match versions(installed, policy) {
        Ok(versions) => {
            for (place, version) in places.into_iter().zip(versions) {
                match version {
                    Ok(version) => listings[place].version = Some(version),
                    Err(unknown) => remarks.push_str(&format!("firebox: {unknown}\n")),
                }
            }
        }
        Err(failure) => {
            remarks.push_str("firebox: no version is known, since toolchains are asked for theirs in a cell\n");
            remarks.push_str(&failure.message().unwrap_or_default());
        }
    }
    Ok((listings, remarks))
}

/// Why a toolchain's version is not known, although it is there.
#[derive(Debug, thiserror::Error)]
enum UnknownVersion {
    /// It could not be asked.
    #[error("the version of {language} is not known, since it could not be asked: {reason}")]
    NotAsked { language: String, reason: String },
    /// It ended otherwise than well.
    #[error("the version of {language} is not known: asked for it, the toolchain ended with {verdict}")]
    Failed { language: String, verdict: String },
    /// It said something else.
    #[error("the version of {language} is not known: there is none in what the toolchain said")]
    NotSaid { language: String },
}

/// Asks each toolchain for its version. The order is the one that `run` explains.
fn versions(installed: Vec<Installed>, policy: Policy) -> Result<Vec<Result<String, UnknownVersion>>, Failure> {
    if installed.is_empty() {
        return Ok(Vec::new());
    }
    let views: Vec<_> = installed.iter().map(|language| language.toolchain.view.clone()).collect();
    let Housed { warden, cell } = isolation::house(Isolation::Auto, &views)?;
    let cells = warden.drop_privileges().map_err(Failure::host)?;
    // That there is one was the question.
    drop(cell);
    let engine = Engine::new(installed, Box::new(cells), policy);
    let mut versions = Vec::new();
    for (number, Installed { language, .. }) in engine.installed().iter().enumerate() {
        versions.push(match engine.ask_version(number) {
            Ok(outcome) => version_in(language, &outcome),
            Err(error) => Err(UnknownVersion::NotAsked {
                language: language.name().to_owned(),
                reason: format!("{:#}", anyhow::Error::new(error)),
            }),
        });
    }
    engine.close().map_err(Failure::host)?;
    Ok(versions)
}

/// Takes the version out of what the toolchain said: some say it on standard output, some on standard error.
fn version_in(language: &Language, outcome: &Outcome) -> Result<String, UnknownVersion> {
    let name = || language.name().to_owned();
    if outcome.verdict != Verdict::Ok {
        return Err(UnknownVersion::Failed { language: name(), verdict: outcome.verdict.status().to_string() });
    }
    // A question is no run, so what was said is in its step alone.
    let said: Vec<u8> =
        outcome.steps.iter().flat_map(|step| [step.stdout.bytes(), step.stderr.bytes()].concat()).collect();
    language.parse_version(&String::from_utf8_lossy(&said)).ok_or_else(|| UnknownVersion::NotSaid { language: name() })
}
