//! How far a driver has come with a device, as the status register says it: one step at a time, in one order, and back only to
//! the beginning.
//!
//! ```text
//! reset --> acknowledged --> driver --> features agreed --> ready        and from everywhere: failed, or broken
//! ```

/// The status register.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Status(u8);

const ACKNOWLEDGED: u8 = 1;
const DRIVER: u8 = 2;
const READY: u8 = 4;
const FEATURES_AGREED: u8 = 8;
const NEEDS_RESET: u8 = 0x40;
const FAILED: u8 = 0x80;

/// In the order in which a driver gets there.
const STEPS: [u8; 4] = [ACKNOWLEDGED, DRIVER, FEATURES_AGREED, READY];

/// What a write to the status register asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// To begin anew.
    Reset,
    /// To agree on the features chosen.
    AgreeOnFeatures,
    /// To begin with the work.
    BeReady,
    /// Another step of the way, which nobody has to agree to.
    Step(Status),
    /// What cannot be asked for now.
    Nothing,
}

impl Status {
    pub(super) fn bits(self) -> u8 {
        self.0
    }

    /// A register with these bits, if a driver can have come to that.
    pub(super) fn of(bits: u8) -> Option<Status> {
        let steps = bits & !(NEEDS_RESET | FAILED);
        let ways = STEPS.iter().scan(0, |way, step| {
            *way |= step;
            Some(*way)
        });
        (steps == 0 || ways.into_iter().any(|way| way == steps)).then_some(Status(bits))
    }

    /// Features are agreed on.
    pub(super) fn has_agreed(self) -> bool {
        self.0 & FEATURES_AGREED != 0
    }

    /// Reads a write to the register.
    pub(super) fn asked(self, written: u32) -> Asked {
        let Ok(written) = u8::try_from(written) else { return Asked::Nothing };
        if written == 0 {
            return Asked::Reset;
        }
        if self.0 & (FAILED | NEEDS_RESET) != 0 {
            return Asked::Nothing;
        }
        if written == self.0 | FAILED {
            return Asked::Step(Status(written));
        }
        match STEPS.iter().find(|step| self.0 & **step == 0) {
            Some(step) if written != self.0 | step => Asked::Nothing,
            Some(&FEATURES_AGREED) => Asked::AgreeOnFeatures,
            Some(&READY) => Asked::BeReady,
            Some(_) => Asked::Step(Status(written)),
            None => Asked::Nothing,
        }
    }

    pub(super) fn with_features_agreed(self) -> Status {
        Status(self.0 | FEATURES_AGREED)
    }

    pub(super) fn with_ready(self) -> Status {
        Status(self.0 | READY)
    }

    pub(super) fn broken(self) -> Status {
        Status(self.0 | NEEDS_RESET)
    }

    /// Features may be chosen: there is a driver, and it has not chosen.
    pub(super) fn takes_features(self) -> bool {
        self.0 == ACKNOWLEDGED | DRIVER
    }

    /// Queues may be set up: features are agreed on, and the work has not begun.
    pub(super) fn takes_queues(self) -> bool {
        self.0 == ACKNOWLEDGED | DRIVER | FEATURES_AGREED
    }

    /// The device works.
    pub(super) fn is_ready(self) -> bool {
        self.0 == ACKNOWLEDGED | DRIVER | FEATURES_AGREED | READY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_has_one_order() {
        let mut status = Status::default();
        for (step, expected) in [
            (1, Asked::Step(Status(1))),
            (3, Asked::Step(Status(3))),
            (0xB, Asked::AgreeOnFeatures),
            (0xF, Asked::BeReady),
        ] {
            for other in (1..=0xFF).filter(|other| ![step, u32::from(status.0 | FAILED)].contains(other)) {
                assert_eq!(status.asked(other), Asked::Nothing, "{other:#x} after {status:?}");
            }
            assert_eq!(status.asked(step), expected);
            status = Status(step as u8);
        }
        assert!(status.is_ready());
    }

    #[test]
    fn nobody_can_have_left_out_a_step() {
        let possible: Vec<u8> = (0..=0xFF).filter(|bits| Status::of(*bits).is_some()).collect();
        let ways = [0, 1, 3, 0xB, 0xF];
        let expected =
            [0, NEEDS_RESET, FAILED, FAILED | NEEDS_RESET].map(|failed| ways.map(|way| way | failed)).concat();
        assert_eq!(possible, expected);
    }

    #[test]
    fn from_failure_there_is_one_way() {
        for status in [Status(0xF).broken(), Status(0x83)] {
            assert!((1..0x1000).all(|asked| status.asked(asked) == Asked::Nothing), "{status:?}");
            assert_eq!(status.asked(0), Asked::Reset);
            assert!(!status.is_ready() && !status.takes_queues() && !status.takes_features());
        }
    }
}
