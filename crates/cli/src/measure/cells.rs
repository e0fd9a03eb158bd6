//! Cells without jobs: what making one costs, and what keeping one does.

use std::slice;
use std::time::{Duration, Instant};

use firebox_cell::CellMaker;
use firebox_engine::{Engine, Installed, PreparedCell};
use firebox_job::Isolation;
use firebox_lang::Catalogue;
use serde_json::json;

use super::{QUIET, for_each_line, microseconds, quiet};
use crate::failure::Failure;
use crate::host;
use crate::isolation::{self, Housed};
use crate::outlet;

/// A jail from nothing, and its end, for each line.
pub(super) fn made_and_removed(lang: &str) -> Result<(), Failure> {
    let toolchain = installed(lang)?.toolchain;
    let Housed { warden, cell } = isolation::house(Isolation::Jail, slice::from_ref(&toolchain.view))?;
    let cells = warden.drop_privileges().map_err(Failure::host)?;
    // That there is one was the question.
    drop(cell);
    let measured = for_each_line(|_| {
        let (make, remove) = one_cell(&cells)?;
        outlet::say_json(&json!({"make_us": microseconds(make), "remove_us": microseconds(remove)}))
    });
    let closed = Box::new(cells).close().map_err(Failure::host);
    measured.and(closed)
}

fn one_cell(cells: &dyn CellMaker) -> Result<(Duration, Duration), Failure> {
    let start = Instant::now();
    let cell = cells.make(0).map_err(Failure::host)?;
    let made = start.elapsed();
    cell.host.remove().map_err(Failure::host)?;
    Ok((made, start.elapsed() - made))
}

/// One more cell that waits for a job, for each line.
pub(super) fn kept(lang: &str) -> Result<(), Failure> {
    let policy = host::policy()?;
    let installed = installed(lang)?;
    let Housed { warden, cell } = isolation::house(Isolation::Auto, slice::from_ref(&installed.toolchain.view))?;
    let cells = warden.drop_privileges().map_err(Failure::host)?;
    drop(cell);
    let engine = Engine::new(vec![installed], Box::new(cells), policy);
    let mut stock: Vec<PreparedCell> = Vec::new();
    let measured = for_each_line(|line| {
        if line.trim() == QUIET {
            return outlet::say_json(&quiet(std::process::id()));
        }
        let start = Instant::now();
        stock.push(engine.prepare(0).map_err(Failure::host)?);
        outlet::say_json(&json!({"prepare_us": microseconds(start.elapsed())}))
    });
    let emptied = stock.into_iter().try_for_each(|cell| engine.discard(cell).map_err(Failure::host));
    let closed = engine.close().map_err(Failure::host);
    measured.and(emptied).and(closed)
}

fn installed(lang: &str) -> Result<Installed, Failure> {
    let language = Catalogue::builtin().find(lang).map_err(Failure::request)?.clone();
    let toolchain = language.find_toolchain(&host::programs()).map_err(Failure::host)?;
    Ok(Installed::new(language, toolchain))
}
