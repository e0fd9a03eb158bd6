//! The switch by which a guest takes its own power away, as ACPI's sleep registers work: control, and status behind it, where a kernel
//! clears what woke it before it sleeps. Nothing ever has.

use std::ops::ControlFlow;

use crate::bus::{BusDevice, Go};
use crate::ending::Ending;

use super::layout::POWER_OFF;

/// Counted from the first port of the switch.
const CONTROL: u64 = 0;

/// The switch. It has nothing to remember.
pub(super) struct PowerSwitch;

impl BusDevice for PowerSwitch {
    fn read(&mut self, _offset: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Go {
        match (offset, data) {
            (CONTROL, [POWER_OFF]) => ControlFlow::Break(Ending::PoweredOff),
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_for_it_at_the_register_for_it_takes_the_power_away() {
        assert_eq!(PowerSwitch.write(0, &[POWER_OFF]), ControlFlow::Break(Ending::PoweredOff));
        // To the status register, another sleep, the sleep without its beginning, and two registers at once.
        for (offset, data) in
            [(1, [POWER_OFF].as_slice()), (0, &[3 << 2 | 1 << 5]), (0, &[5 << 2]), (0, &[POWER_OFF, 0])]
        {
            assert_eq!(PowerSwitch.write(offset, data), ControlFlow::Continue(()), "{offset} {data:?}");
        }
    }
}
