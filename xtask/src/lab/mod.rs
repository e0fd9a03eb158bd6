//! `cargo xtask lab`: the tests of the microVM on KVM that runs kernels, on a machine that has none.
//!
//! Most build machines have no KVM, or one that emulates a guest's kernel. So QEMU emulates a whole PC in software, and with it a processor that has
//! virtual machines (AMD's SVM). Debian's kernel for clouds runs on that PC, its KVM is a real one, and our tests run on that.
//! In there a second takes as long as it likes: what passes is right, how long it took says nothing, and only ratios mean something.
//!
//! ```text
//! equipment (QEMU, BusyBox, Debian's kernels) --> programs (the tests, built) --> debian (a disk with what jobs run on)
//!     --> turns (which tests, in which kind of cell), in a queue from which PCs take them
//!     pc: files (an initramfs with `init.sh`) --> machine (QEMU, until it ends or its time is up) --> verdict (of what it said, and of what it did not)
//! ```
//!
//! Besides what is about KVM, the end-to-end tests that hold in every kind of cell (`tests/every_kind.txt`) run in there: in jails, as root and as an ordinary
//! user, on a stock kernel with version 2 of control groups; and in microVMs, which takes longer: therefore some, and with `--full` all. Where this
//! host's KVM runs kernels, all of these run on the host itself (`here`).
//!
//! `--only` runs some turns, for who works on those. `--compare` has two monitors boot a kernel in there, by turns (`comparison`).

mod census;
mod comparison;
mod debian;
mod equipment;
mod every_kind;
mod files;
mod here;
mod kernel;
mod machine;
mod pc;
mod programs;
mod queue;
mod run;
mod turn;
mod verdict;

pub(crate) use comparison::compare;
pub(crate) use equipment::Equipment;
pub(crate) use run::{STEP, run, tests};
pub(crate) use turn::Extent;
