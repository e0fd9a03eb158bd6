//! What differs from one kind of processor to the next. Nothing outside of this folder names a register, a port or the
//! address of a chip.
//!
//! Each kind offers the same: the `layout` of its address space, [`Chips`] (what stands around the processors), [`Cpus`]
//! (how a processor is made ready for its first instruction), the state of both ([`ChipsState`], [`CpuState`]), `fixed_devices` (what every machine of this kind has
//! besides virtio), `NEEDED` (what KVM has to have for it), `NUMBER` (by which its snapshots are told from others), `load` (how a kernel is put there and told of its machine), and `loops` (a program whose speed tells what its processors are worth).

#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "x86_64")]
pub use x86_64::layout;
#[cfg(target_arch = "x86_64")]
pub use x86_64::{BootError, Linux, OtherProcessor, SetupError, Start, UnpackError, WORDS, unpack};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{
    CannotBe, Chips, ChipsState, CpuState, Cpus, NEEDED, NUMBER, fixed_devices, load, loops, waits_for_nothing,
};

#[cfg(not(target_arch = "x86_64"))]
compile_error!("there are microVMs on x86-64 only so far: what another kind needs goes into a folder beside `x86_64`");
