//! Everything an agent can say and do, in any order. A seed that broke something is printed, and can be tried again by
//! giving it as `FIREBOX_SEED`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use firebox_cell::Past;
use firebox_job::Protection;

use super::frames;
use super::play::{self, Move};
use super::trial::{Trial, try_all};

const TRIALS: u64 = 600;
const AT_ONCE: usize = 32;

/// Numbers by chance, the same for the same seed: xorshift.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..=self.below(most)).map(|_| self.next() as u8).collect()
    }
}

/// An honest play with a few other things in it, or a part of it left out.
fn moves(chance: &mut Chance, said: &[Vec<u8>]) -> (Vec<Move>, bool) {
    let plays = play::all();
    let mut moves = Vec::new();
    let play = chance.of(&plays);
    for honest in play.moves.clone() {
        while chance.one_in(4) {
            moves.push(match chance.below(12) {
                0 => Move::Say(chance.bytes(64)),
                1 => Move::Trickle(chance.of(said).iter().copied().take(300).collect()),
                2 => Move::Pause(Duration::from_micros(chance.below(5000) as u64)),
                3 if chance.one_in(4) => Move::Close,
                4 if chance.one_in(4) => Move::Deafness,
                5 => {
                    // The end of one frame and the start of another.
                    let (first, second) = (chance.of(said).clone(), chance.of(said));
                    let (from, to) = (chance.below(first.len()), chance.below(second.len()));
                    Move::Say([&first[from..], &second[..to]].concat())
                }
                _ => Move::Say(chance.of(said).clone()),
            });
        }
        if !chance.one_in(12) {
            moves.push(honest);
        }
    }
    (moves, play.is_kept)
}

fn trial(seed: u64, said: &[Vec<u8>]) -> Trial {
    // Never zero, and not much alike for seeds that are.
    let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let (moves, is_kept) = moves(&mut chance, said);
    let mut trial = Trial { is_kept, ..Trial::new(format!("seed {seed}"), moves) };
    let measured = &mut trial.answers.measured;
    measured.oom_kills = u64::from(chance.one_in(16));
    measured.starved = chance.one_in(16);
    measured.disk_full = chance.one_in(16);
    measured.cpu = Duration::from_millis(if chance.one_in(16) { 100 } else { 0 });
    if chance.one_in(4) {
        measured.past = chance.one_in(8).then(|| [Past::Memory, Past::Tasks, Past::Disk][chance.below(3)]);
        trial.answers.held = Protection::Watched;
    }
    trial.files = chance.below(4);
    trial.file_bytes = chance.below(200_000);
    trial
}

#[test]
fn nothing_that_an_agent_says_in_any_order_does_harm() {
    let all = [frames::whole(), frames::malformed(), frames::cut_short()].concat();
    let said: Vec<Vec<u8>> = all.into_iter().map(|said| said.bytes).collect();
    let trials: Vec<Trial> = match std::env::var("FIREBOX_SEED").map(|seed| seed.parse()) {
        Ok(seed) => vec![trial(seed.expect("FIREBOX_SEED is a number"), &said)],
        Err(_) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_micros() as u64;
            (0..TRIALS).map(|number| trial(now.wrapping_add(number), &said)).collect()
        }
    };
    try_all(&trials, AT_ONCE);
}
