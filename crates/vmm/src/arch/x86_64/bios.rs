//! What stands where PCs have the entry of their BIOS: the command that resets the machine, and no BIOS.
//!
//! A kernel that is to begin anew and knows no better way goes back to real mode and jumps there. Linux does, and takes none of the ways before
//! it: on a machine of hardware-reduced ACPI it counts on EFI for that, and here is none. Without these bytes it would run through
//! whatever is there instead, for ever.

use super::layout::{RESET, RESET_PORT};

/// `mov al, RESET; out RESET_PORT, al; hlt`, which is the same in each of a processor's modes.
pub(super) const ENTRY: [u8; 5] = [0xB0, RESET, 0xE6, RESET_PORT as u8, 0xF4];
