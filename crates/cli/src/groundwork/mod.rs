//! Groundwork: what the jobs of a language need and a toolchain lacks, made once of each toolchain and kept on this host.
//!
//! ```text
//! firebox run, serve        finds it, or starts the next and waits
//!  `- firebox languages prepare    keeps it: the user's own rights, no cell
//!      `- firebox groundwork       makes it in a cell, has given up all rights by then, and writes it into a pipe
//! ```
//!
//! Three processes, because whoever makes cells may not have read anything that came out of one, and whoever has seen to what a
//! cell says may not write to where the user keeps things. No job is anywhere near: what is in the cell are the toolchain and
//! what the language's file says.

mod kept;
mod packet;

use std::process::{Command, ExitCode, Stdio};
use std::slice;
use std::{env, io};

use anyhow::{Context, anyhow};
use firebox_engine::{Engine, Installed, groundwork_policy};
use firebox_image::ImageName;
use firebox_job::Isolation;
use firebox_lang::{Catalogue, Language};

pub(crate) use kept::{Groundworks, Laid};

use crate::args::GroundworkArgs;
use crate::failure::Failure;
use crate::host;
use crate::isolation::{self, Housed};
use crate::outlet;
use crate::shelf::usual_home;
use crate::toolchains::{Found, NotFound, Toolchains};

/// Has the groundwork of a language laid by another process, and says so: it can take a minute.
pub(crate) fn have_it_laid(language: &Language, image: Option<&ImageName>) -> Result<(), Failure> {
    let name = language.name();
    outlet::remark(&format!(
        "firebox: making what jobs in {name} need, once for this toolchain; it can take a minute\n"
    ));
    let image = image.map(|image| format!("--image={image}"));
    let words = ["languages", "prepare", name].into_iter().chain(image.as_deref());
    let status = ourselves(words).and_then(|mut command| command.status()).context("cannot start firebox itself");
    match status.map_err(Failure::host)?.success() {
        true => Ok(()),
        false => Err(Failure::host(anyhow!("what jobs in {name} need could not be made"))),
    }
}

/// Firebox itself, with these words, and nothing to read.
pub(crate) fn ourselves<'a>(words: impl IntoIterator<Item = &'a str>) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(words).stdin(Stdio::null());
    Ok(command)
}

/// `firebox languages prepare`: keeps the groundwork of each of these languages that needs one.
pub(crate) fn prepare(names: &[String], image: Option<&ImageName>) -> Result<ExitCode, Failure> {
    let catalogue = Catalogue::builtin();
    let (toolchains, is_named) = (Toolchains::find(), !names.is_empty());
    let home = usual_home().map_err(Failure::host)?;
    let groundworks = Groundworks::of(&home);
    let languages: Vec<&Language> = match is_named {
        true => names.iter().map(|name| catalogue.find(name).map_err(Failure::request)).collect::<Result<_, _>>()?,
        false => catalogue.languages().collect(),
    };
    for language in languages {
        let found = match image {
            Some(image) => toolchains.in_image(language, image).map_err(NotFound::Failed),
            None => toolchains.of(language),
        };
        let toolchain = match found {
            Ok(Found { toolchain, .. }) => toolchain,
            Err(NotFound::Missing(_)) if !is_named => continue,
            Err(not_found) => return Err(not_found.into_failure()),
        };
        if toolchain.lacks_groundwork() {
            let image = image.map(|image| format!("--image={image}"));
            let lang = format!("--lang={}", language.name());
            let command = ourselves(["groundwork", &lang].into_iter().chain(image.as_deref()));
            groundworks.keep(language, &toolchain, command.map_err(Failure::host)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `firebox groundwork`: makes one in a cell, for the process that keeps it. The order is the one that `run` explains.
pub(crate) fn make(args: GroundworkArgs) -> Result<ExitCode, Failure> {
    let GroundworkArgs { lang, image } = args;
    let policy = groundwork_policy(host::policy()?);
    let catalogue = Catalogue::builtin();
    let language = catalogue.find(&lang).map_err(Failure::request)?.clone();
    let toolchains = Toolchains::find();
    let found = match &image {
        Some(image) => toolchains.in_image(&language, image)?,
        None => toolchains.of(&language).map_err(NotFound::into_failure)?,
    };
    let Found { toolchain, image: _image, groundwork: _ } = found;
    let Housed { warden, cell } = isolation::house(Isolation::Auto, slice::from_ref(&toolchain.view))?;
    let cells = warden.drop_privileges().map_err(Failure::host)?;
    // That there is one was the question.
    drop(cell);
    let engine = Engine::new(vec![Installed::new(language, toolchain)], Box::new(cells), policy);
    let stdout = rustix::stdio::stdout();
    let laid = engine.lay_groundwork(0, &mut |path, content| packet::send(stdout, path, content));
    let closed = engine.close().map_err(Failure::host);
    let failed =
        |error| Failure::host(anyhow::Error::new(error).context(format!("cannot make what jobs in {lang} need")));
    laid.map_err(failed)?;
    closed?;
    packet::send_end(stdout).map_err(Failure::host)?;
    Ok(ExitCode::SUCCESS)
}
