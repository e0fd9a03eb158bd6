//! Chance that can be had again: what a test draws follows from a seed, which a failure names.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A generator of random numbers (splitmix64): plenty for choosing, nothing for secrets.
pub(crate) struct Dice(u64);

impl Dice {
    /// A seed that nobody has had, or the one that the environment asks for.
    pub(crate) fn seed() -> u64 {
        let asked = std::env::var("TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        asked.unwrap_or(now.as_micros() as u64)
    }

    /// One of several sequences that follow from a seed.
    pub(crate) fn new(seed: u64, sequence: u64) -> Dice {
        let mut dice = Dice(seed ^ sequence.rotate_left(32));
        Dice(dice.draw())
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of these.
    pub(crate) fn one_of<'a, T>(&mut self, some: &'a [T]) -> &'a T {
        &some[(self.draw() % some.len() as u64) as usize]
    }

    /// Some time from nothing to `most`.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.draw() as f64 / u64::MAX as f64)
    }
}
