//! The keyboard controller (i8042): no keyboard, but the one command by which PCs have always been reset.

use std::ops::ControlFlow;

use crate::bus::{BusDevice, Go};
use crate::ending::Ending;

use super::layout;

/// Counted from the first port of the controller.
const COMMAND: u64 = layout::RESET_PORT - layout::KEYBOARD.start;

/// The controller. It has nothing to remember.
pub(super) struct Keyboard;

impl BusDevice for Keyboard {
    /// Neither of its buffers is ever full, so whoever waits for room to write a command goes on at once.
    fn read(&mut self, _offset: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Go {
        match (offset, data) {
            (COMMAND, [layout::RESET]) => ControlFlow::Break(Ending::Reset),
            _ => ControlFlow::Continue(()),
        }
    }
}
