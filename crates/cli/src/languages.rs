//! `firebox languages`: what this host can run, and what it lacks.
//!
//! Programs are found by looking; a version is what the toolchain says when it is run, and that happens in a cell,
//! like everything else that is run. A host that cannot make a cell still gets its list, without versions.

use std::process::ExitCode;

use firebox_api::Listing;
use firebox_engine::{Engine, Installed, UnknownVersion};
use firebox_job::{Isolation, Policy};
use firebox_lang::Catalogue;

use crate::args::{LanguagesArgs, LanguagesCommand};
use crate::check;
use crate::failure::Failure;
use crate::groundwork;
use crate::host;
use crate::isolation::{self, Housed};
use crate::listing::rendered;
use crate::outlet;
use crate::toolchains::{Found, NotFound, Toolchains};

/// Lists languages, or checks their files.
pub(crate) fn languages(args: LanguagesArgs) -> Result<ExitCode, Failure> {
    let LanguagesArgs { json, command } = args;
    match command {
        Some(LanguagesCommand::Check { files }) => return check::check(&files),
        Some(LanguagesCommand::Prepare { languages, image }) => return groundwork::prepare(&languages, image.as_ref()),
        None => {}
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
    let toolchains = Toolchains::find();
    // They stay until versions have been asked for.
    let mut images = Vec::new();
    let mut listings = Vec::new();
    let mut installed = Vec::new();
    // Which listing each of them belongs to.
    let mut places = Vec::new();
    for language in catalogue.languages() {
        let listing = match toolchains.of(language) {
            Ok(Found { toolchain, image, groundwork: _ }) => {
                places.push(listings.len());
                let listing = Listing::of(language).with(&toolchain);
                installed.push(Installed::new(language.clone(), toolchain));
                images.extend(image);
                listing
            }
            Err(NotFound::Missing(missing)) => Listing::of(language).without(&missing),
            Err(NotFound::Failed(failure)) => return Err(failure),
        };
        listings.push(listing);
    }
    let mut remarks = String::new();
    match versions(installed, policy) {
        Ok(versions) => {
            for (place, version) in places.into_iter().zip(versions) {
                match version {
                    Ok(version) => listings[place].version = Some(version),
                    Err(unknown) => remarks.push_str(&format!("firebox: {:#}\n", anyhow::Error::new(unknown))),
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
    let versions = (0..engine.installed().len()).map(|number| engine.version(number)).collect();
    engine.close().map_err(Failure::host)?;
    Ok(versions)
}
