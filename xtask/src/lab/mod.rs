//! `cargo xtask lab`: the tests of the microVM on KVM that runs kernels, on a machine that has none.
//!
//! Most build machines have no KVM, or one that emulates a guest's kernel. So QEMU emulates a whole PC in software, and with it a processor that has
//! virtual machines (AMD's SVM). Debian's kernel for clouds runs on that PC, its KVM is a real one, and our tests run on that.
//! In there a second takes as long as it likes: what passes is right, how long it took says nothing, and only ratios mean something.
//!
//! ```text
//! equipment (QEMU, BusyBox, Debian's kernel) --> programs (the tests, built, with their libraries) --> files (an initramfs with `init.sh`)
//!     --> machine (QEMU, until it ends or its time is up) --> verdict (of what it said, and of what it did not)
//! ```
//!
//! `--only` runs some of them, for who works on those. `--compare` has two monitors boot a kernel in there, by turns (`comparison`).

mod comparison;
mod equipment;
mod files;
mod kernel;
mod machine;
mod programs;
mod run;
mod verdict;

pub(crate) use comparison::compare;
pub(crate) use equipment::Equipment;
pub(crate) use run::{STEP, run, tests};
