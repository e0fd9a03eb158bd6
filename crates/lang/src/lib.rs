//! Languages as data: from a job to its plan.
//!
//! A [`Language`] is an entry of the [`Catalogue`], and an entry is a file of the `languages/` folder: which programs
//! it needs, what of the host those need to see, which options it takes, and the argv of each step. No code here
//! knows a language by name.
//!
//! The way of a job through this crate:
//!
//! ```no_run
//! use firebox_lang::{Catalogue, Host, Plan};
//!
//! # use firebox_cell::Layout;
//! # fn example(job: &firebox_job::Job, layout: &Layout) -> Result<Plan, Box<dyn std::error::Error>> {
//! let catalogue = Catalogue::builtin();
//! let language = catalogue.find(&job.language)?;
//! let toolchain = language.find_toolchain(&Host::current())?;
//! let plan = language.plan(job, &toolchain, layout)?;
//! # Ok(plan)
//! # }
//! ```
//!
//! Finding a toolchain reads the host and runs nothing: it happens before privileges are dropped. What a program
//! says of its own version is asked inside a cell, with the step that [`Language::version_probe`] makes.

mod base;
mod catalogue;
mod driver;
mod excerpt;
mod file;
mod find;
mod groundwork;
mod host;
mod image;
mod language;
mod nearest;
mod option;
mod passwd;
mod pattern;
mod plan;
mod repeatable;
mod rootfs;
mod toolchain;
mod version;
mod witness;

pub use catalogue::{Catalogue, UnknownLanguage};
pub use driver::Driver;
pub use file::{LanguageFileError, check_file};
pub use find::{PassReason, PassedOver};
pub use groundwork::{Groundwork, Laying};
pub use host::{Host, Linker};
pub use image::NotInImage;
pub use language::{Ahead, Copied, Language};
pub use nearest::nearest;
pub use option::OptionSpec;
pub use plan::{Plan, PlanError, Step, StepAhead};
pub use rootfs::Rootfs;
pub use toolchain::{MissingToolchain, Program, Toolchain};
pub use witness::{Marks, Sighting, Witness};
