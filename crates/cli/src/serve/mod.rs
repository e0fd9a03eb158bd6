//! `firebox serve`: the same engine as `firebox run`, for many jobs, behind HTTP.

mod config;
mod descriptors;
mod handed;
mod log;

use std::env;
use std::net::TcpListener;
use std::path::absolute;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use firebox_cell::CellMaker;
use firebox_engine::{Engine, Installed, Kept, PoolPolicy};
use firebox_image::Held;
use firebox_job::{Isolation, Policy};
use firebox_lang::{Catalogue, MissingToolchain};
use firebox_microvm::MicroVms;
use firebox_server::keys::Ring;
use firebox_server::{Database, Makings, Server, StateDirectory, Tls};
use tracing::{info, warn};

use crate::args::{ServeArgs, check_environment};
use crate::failure::Failure;
use crate::groundwork::Laid;
use crate::host;
use crate::isolation::{self, Housed};
use crate::machine::{Fleet, HousedInMachine};
use crate::outlet;
use crate::serve::config::{Config, TlsFiles};
use crate::state;
use crate::toolchains::{Found, NotFound, Toolchains};

pub(crate) use config::read_file;

/// Serves until it is told to stop. The order is the one that `run` explains: as the caller until privileges are dropped,
/// and then as nobody.
pub(crate) fn serve(args: ServeArgs) -> Result<ExitCode, Failure> {
    check_environment(env::vars_os().map(|(name, _)| name)).map_err(Failure::request)?;
    let policy = host::policy()?;
    let mut config = config::read(args, &policy)?;
    descriptors::claim(&mut config)?;
    let handed = handed::take(&mut config)?;
    let catalogue = Catalogue::builtin();
    if config.microvms && config.allow_fence {
        return Err(Failure::request(anyhow!("`--microvms` and `--allow-fence` contradict each other")));
    }
    let mut fleet = config.microvms.then(|| Fleet::new(policy)).transpose()?;
    // The images stay until the end.
    let Languages { mut installed, absent, stay: _stay } =
        find_languages(&catalogue, &Toolchains::find(), config.languages.as_deref(), fleet.as_mut())?;
    let policy = fleet.as_ref().map_or(policy, Fleet::policy);
    let (Housed { warden, cell }, welcomes) = match fleet {
        Some(fleet) => fleet.house().map(|HousedInMachine { housed, welcomes }| (housed, Some(welcomes)))?,
        None => (house(&installed, config.allow_fence)?, None),
    };

    // After the warden was split off, which has no use for any of it, and with the caller's rights: a low port, a private
    // key, files of toolchains that not everybody may read, and the directory that only this user comes to.
    let listener = handed.map_or_else(|| listen(&config), Ok);
    let tls = read_tls(config.tls.as_ref());
    let held = installed.iter_mut().try_for_each(Installed::take_hold);
    let state = config.state.as_deref().map(|path| state::claim(path, warden.engine())).transpose();
    let state = state.and_then(|state| keys(state.as_ref(), &config).map(|keys| (state, keys)));
    let cells = warden.drop_privileges().map_err(Failure::host)?;
    // That there is one was the question.
    drop(cell);
    held.map_err(Failure::host)?;
    let cells: Box<dyn CellMaker> = match welcomes {
        None => Box::new(cells),
        Some(welcomes) => Box::new(MicroVms::new(cells, welcomes)),
    };
    let engine = engine(installed, cells, policy, &config);
    let served = engine.and_then(|engine| {
        let (listener, tls, (state, keys)) = (listener?, tls?, state?);
        let database = state.map(Database::open).transpose().map_err(Failure::host)?;
        log::start(config.log_level);
        let address = listener.local_addr().map_err(Failure::host)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let known = keys.count();
        let needless = config.settings.allow_anonymous && keys.is_demanded();
        let settings = config.settings;
        let makings = Makings { engine, catalogue, absent, policy, settings, tls, database, keys };
        let server = Server::start(makings, listener).map_err(Failure::host)?;
        outlet::say(&format!("firebox listens on {scheme}://{address}\n"))?;
        info!(%address, version = env!("CARGO_PKG_VERSION"), keys = known, "listening");
        if needless {
            warn!("there are keys, so whoever asks must show one, and `allow_anonymous` does nothing");
        }
        server.serve().map_err(Failure::host)
    });
    served.map(|()| ExitCode::SUCCESS)
}

/// A warden of jails; or of fences, where those are allowed and this host makes no jails.
fn house(installed: &[Installed], allow_fence: bool) -> Result<Housed, Failure> {
    let views: Vec<_> = installed.iter().map(|installed| installed.toolchain.view.clone()).collect();
    let wanted = if allow_fence { Isolation::Auto } else { Isolation::Jail };
    isolation::house(wanted, &views).map_err(|failure| match allow_fence {
        true => failure,
        false => failure
            .with_help("`firebox doctor` tells what this host lacks; `--allow-fence` takes a fence, which is weaker"),
    })
}

/// Who may ask. Opened with the caller's rights, and read without them from then on.
fn keys(state: Option<&StateDirectory>, config: &Config) -> Result<Ring, Failure> {
    let keys = match state {
        Some(directory) => directory.keys().and_then(Ring::of).map_err(Failure::host)?,
        None => Ring::without().map_err(Failure::host)?,
    };
    config.check_address(keys.is_demanded())?;
    Ok(keys)
}

/// The languages that are served, and what those lack that could not be.
struct Languages {
    installed: Vec<Installed>,
    absent: Vec<MissingToolchain>,
    /// What their toolchains are of.
    stay: Vec<(Option<Held>, Option<Laid>)>,
}

/// A language that was asked for by name must be there; of all there are, those that are.
fn find_languages(
    catalogue: &Catalogue,
    toolchains: &Toolchains,
    named: Option<&[String]>,
    mut fleet: Option<&mut Fleet>,
) -> Result<Languages, Failure> {
    let mut found = Languages { installed: Vec::new(), absent: Vec::new(), stay: Vec::new() };
    let wanted: Vec<_> = match named {
        Some(names) => {
            names.iter().map(|name| catalogue.find(name).map_err(Failure::request)).collect::<Result<_, _>>()?
        }
        None => catalogue.languages().collect(),
    };
    for language in wanted {
        // What takes a minute is done for who asked for it.
        let ready = toolchains.of(language).and_then(|found| match named {
            Some(_) => toolchains.laid(language, None, found),
            None => found.if_laid(language),
        });
        if let (Ok(there), Some(fleet)) = (&ready, fleet.as_deref_mut()) {
            match (fleet.add(toolchains, language, there), named) {
                (Ok(true), _) => {}
                (Ok(false), None) => continue,
                (Ok(false), Some(_)) => return Err(Fleet::lacks(language)),
                (Err(of_no_use), Some(_)) => return Err(of_no_use),
                (Err(of_no_use), None) => {
                    let why = of_no_use.message().unwrap_or_default();
                    outlet::remark(&format!("firebox: {} is not served:\n{why}", language.name()));
                    continue;
                }
            }
        }
        match ready {
            Ok(Found { toolchain, image, groundwork }) => {
                found.installed.push(Installed::new(language.clone(), toolchain));
                found.stay.push((image, groundwork));
            }
            Err(NotFound::Missing(missing)) if named.is_none() => found.absent.push(missing),
            Err(not_found) => return Err(not_found.into_failure()),
        }
    }
    match found.installed.is_empty() {
        true if fleet.is_some() => Err(Failure::host(anyhow!(
            "there is no snapshot of any language, so there is nothing to serve in microVMs"
        ))
        .with_help("`firebox snapshot create --lang rust` makes one; `--languages` tells what one of them lacks")),
        true => Err(Failure::host(anyhow!("no language is installed on this host, so there is nothing to serve"))
            .with_help("`firebox languages` tells what each of them needs")),
        false => Ok(found),
    }
}

fn listen(config: &Config) -> Result<TcpListener, Failure> {
    TcpListener::bind(config.listen)
        .with_context(|| format!("cannot listen on {}", config.listen))
        .map_err(|error| Failure::host(error).with_help("choose another address with `--listen`"))
}

fn read_tls(files: Option<&TlsFiles>) -> Result<Option<Tls>, Failure> {
    let Some(TlsFiles { certificate, key }) = files else { return Ok(None) };
    let tls = absolute(certificate).and_then(|certificate| Ok((certificate, absolute(key)?)));
    let (certificate, key) = tls.context("cannot tell where the certificate is").map_err(Failure::host)?;
    Tls::read(&certificate, &key).map(Some).map_err(Failure::request)
}

fn engine(
    installed: Vec<Installed>,
    cells: Box<dyn CellMaker>,
    policy: Policy,
    config: &Config,
) -> Result<Engine, Failure> {
    let engine = Engine::new(installed, cells, policy).with_kept(Kept::new(config.keep));
    match config.pools {
        PoolPolicy { each: 0, .. } => Ok(engine),
        pools => engine.with_pools(pools).map_err(Failure::host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_that_is_asked_for_by_a_wrong_name_is_refused_with_the_nearest() {
        let error = find_languages(&Catalogue::builtin(), &Toolchains::find(), Some(&["pyton".to_owned()]), None)
            .err()
            .unwrap();
        assert!(error.message().unwrap().contains("python"));
    }

    #[test]
    fn an_address_that_is_taken_is_told_with_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let policy = Policy::for_host(std::num::NonZeroU32::MIN, firebox_job::ByteSize::gib(1));
        let mut config = config::of(Default::default(), &policy).unwrap();
        config.listen = taken.local_addr().unwrap();
        let message = listen(&config).err().unwrap().message().unwrap();
        assert!(message.contains("cannot listen on 127.0.0.1:") && message.contains("--listen"), "{message}");
    }
}
