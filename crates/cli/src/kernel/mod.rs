//! `firebox kernel`: kernels of distributions, for microVMs.

mod listed;
mod signature;
mod told;

use std::process::ExitCode;

use anyhow::anyhow;
use firebox_image::{
    Debian, KernelBounds, KernelName, KernelProgress, KernelRequest, KernelSource, Kernels, ReadyKernel, Release,
    StoreError, Trust, fetch_kernel,
};

use crate::args::{FetchArgs, FromArg, KernelArgs, KernelCommand};
use crate::failure::Failure;
use crate::guest::GUEST;
use crate::line::{Line, Worth, bar};
use crate::outlet;
use crate::shelf::{Shelf, tell_of_removed, usual_home};
use listed::{ListedKernel, in_table};
use signature::Checker;
use told::{told_of_fetch, told_of_store};

/// Takes kernels in, shows them, and takes them away.
pub(crate) fn kernel(args: KernelArgs) -> Result<ExitCode, Failure> {
    let KernelArgs { home, json, command } = args;
    let kernels = Shelf::Kernels.open(home, Kernels::open)?;
    match command {
        KernelCommand::Fetch(args) => fetch(&kernels, *args, json)?,
        KernelCommand::List => list(&kernels, json)?,
        KernelCommand::Remove { names } => remove(&kernels, &names, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether there is one kernel, which needs no name. Looks, and makes nothing; what cannot be used is not there.
pub(crate) fn is_there() -> bool {
    let Ok(home) = usual_home() else { return false };
    let path = home.kernels();
    path.is_dir() && Kernels::open(&path).and_then(|kernels| kernels.names()).is_ok_and(|names| names.len() == 1)
}

/// What the kernel of a name is.
pub(crate) fn release_of(name: &KernelName) -> Result<Release, Failure> {
    let kernels = Shelf::Kernels.open(None, Kernels::open)?;
    let found = kernels.find(name).map_err(told_of_store)?;
    let lacks = || Shelf::Kernels.lacks(name, &kernels.names().unwrap_or_default());
    Ok(found.ok_or_else(lacks)?.record.release)
}

/// A kernel with this first process, and its name: the one that is named, or the only one.
pub(crate) fn ready(name: Option<&KernelName>, init: &[u8]) -> Result<(KernelName, ReadyKernel), Failure> {
    let kernels = Shelf::Kernels.open(None, Kernels::open)?;
    let known = kernels.names().map_err(told_of_store)?;
    let name = match (name, known.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, []) => {
            let none = anyhow!("a microVM needs a kernel, and there is none");
            return Err(Failure::host(none).with_help("`firebox kernel fetch` takes Debian's in"));
        }
        (None, several) => {
            let names: Vec<String> = several.iter().map(|name| format!("`{name}`")).collect();
            let which = anyhow!("there are several kernels: {}", names.join(", "));
            return Err(Failure::request(which).with_help("`--kernel` says which"));
        }
    };
    let ready = kernels.ready(name, init).map_err(told_of_store)?;
    Ok((name.clone(), ready.ok_or_else(|| Shelf::Kernels.lacks(name, &known))?))
}

fn fetch(kernels: &Kernels, args: FetchArgs, json: bool) -> Result<(), Failure> {
    // Exhaustive: a new flag must be decided here.
    let FetchArgs { from, modules, name, mirror, suite, keyring } = args;
    let checker = Checker::find(keyring).map_err(Failure::host)?;
    let line = Line::begin();
    let request = KernelRequest {
        tell: &|progress| show(&line, progress),
        name,
        from: from.as_ref().map(FromArg::in_words).unwrap_or_default(),
        check: &|document| checker.as_ref().map(|checker| checker.signed(document)).transpose(),
        unpack: &|packed| firebox_vmm::unpack(packed).map_err(Into::into),
        init: GUEST,
        bounds: KernelBounds::default(),
    };
    let source = from.map_or_else(|| KernelSource::Debian(Debian { mirror, suite }), |from| from.source(modules));
    let fetched = fetch_kernel(kernels, &source, &request);
    drop(line);
    let (name, kernel) = fetched.map_err(told_of_fetch)?;
    match (kernel.origin.trust, &checker) {
        (Trust::Given, _) => {}
        (Trust::Signature, Some(checker)) => outlet::remark(&format!(
            "firebox: the package is what Debian has signed: `gpgv` has found that with the keys in `{}`\n",
            checker.keyring().display()
        )),
        (Trust::Mirror | Trust::Signature, _) => outlet::remark(
            "firebox: the package is what the mirror says: no signature was checked, for lack of `gpgv` or of Debian's keys \
             (`debian-archive-keyring`)\n",
        ),
    }
    let kernel = ListedKernel::of(&name, &kernel);
    if json { outlet::say_json(&kernel) } else { outlet::say(&in_table(&[kernel])) }
}

fn show(line: &Line, progress: KernelProgress) {
    let (worth, words) = match progress {
        KernelProgress::Asking => (Worth::AtOnce, "asking the mirror".to_owned()),
        KernelProgress::Downloading { bytes: 0, of } => (Worth::AtOnce, bar(0, of)),
        KernelProgress::Downloading { bytes, of } => (Worth::InItsTurn, bar(bytes, of)),
        KernelProgress::Looking => (Worth::AtOnce, "looking for the modules that a guest needs".to_owned()),
        KernelProgress::Taking => (Worth::AtOnce, "unpacking the kernel and its modules".to_owned()),
    };
    line.show(worth, || words);
}

fn list(kernels: &Kernels, json: bool) -> Result<(), Failure> {
    let mut listed = Vec::new();
    for name in kernels.names().map_err(told_of_store)? {
        match kernels.find(&name) {
            Ok(Some(kernel)) => listed.push(ListedKernel::of(&name, &kernel)),
            // Removed a moment ago.
            Ok(None) => {}
            // The others are there all the same.
            Err(error @ StoreError::DamagedKernel(_)) => outlet::remark(&format!("firebox: {name}: {error}\n")),
            Err(error) => return Err(told_of_store(error)),
        }
    }
    if json {
        return outlet::say_json(&listed);
    }
    if listed.is_empty() {
        outlet::remark("firebox: there are no kernels; `firebox kernel fetch` takes one in\n");
        return Ok(());
    }
    outlet::say(&in_table(&listed))
}

/// All of them, or none where one is unknown.
fn remove(kernels: &Kernels, names: &[KernelName], json: bool) -> Result<(), Failure> {
    Shelf::Kernels.has(names, &kernels.names().map_err(told_of_store)?)?;
    for name in names {
        // Whoever else removes it at the same time wants the same.
        kernels.remove(name).map_err(told_of_store)?;
    }
    tell_of_removed(names, json)
}
