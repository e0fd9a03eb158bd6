//! How many cells are to wait for jobs, and what is to be done about it next. Pure: everything it needs is in its
//! arguments, the time too.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use firebox_job::ByteSize;

/// What a cell that waits costs at most, by the kernel's count of proportional set size without pages of files (a toolchain's
/// are there once for all cells, and the kernel can take them back): alone, and with a tool in it that was started ahead.
/// `warm_cells::a_cell_that_waits_costs_no_more_than_is_counted_for_it` measures both.
pub(crate) const EMPTY_CELL: ByteSize = ByteSize::mib(1);
pub(crate) const CELL_WITH_TOOL: ByteSize = ByteSize::mib(16);

/// After a failure to make a cell, the next try waits for this long; after each further one twice as long, up to the most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A job that has run for this long may well go on running; most are over before.
const BRIEF: Duration = Duration::from_millis(100);

/// How many cells are kept waiting.
#[derive(Debug, Clone, Copy)]
pub struct PoolPolicy {
    /// For one language: as many jobs as may come at once and each find one.
    pub each: usize,
    /// What all cells that wait may cost together.
    pub memory: ByteSize,
    /// A language that nobody asked for this long gets no more cells, and gives back those it has.
    pub idle: Duration,
}

/// What stands in a cell that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filling {
    /// The tool with which jobs in its language usually begin.
    Tool,
    /// Nothing: for jobs that begin with something else, which would have to end that tool first.
    Nothing,
}

/// What is known of one language's pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Level {
    /// How many cells wait.
    pub(crate) waiting: usize,
    /// In how many of them nothing stands.
    pub(crate) empty: usize,
    /// How many of the latest jobs, as many as cells may wait, had no use for the tool.
    pub(crate) asked_empty: usize,
    /// What each of them costs.
    pub(crate) cost: ByteSize,
    /// When a job last asked for one.
    pub(crate) asked: Instant,
    /// After a failure: when to try again.
    pub(crate) barred: Option<Instant>,
}

/// The jobs that have come and not gone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traffic {
    /// On their way to their first step.
    pub(crate) arriving: usize,
    /// Under way.
    pub(crate) running: usize,
    /// When the last one got under way.
    pub(crate) latest: Instant,
}

/// What is to be done next about the pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chore {
    /// Make a cell for this language, with this in it.
    Make(usize, Filling),
    /// Give one of this language's cells back.
    GiveBack(usize),
    /// Nothing, before this time or before something happens.
    Rest(Option<Instant>),
}

impl PoolPolicy {
    /// How many cells of each language are to wait now.
    ///
    /// Where memory does not suffice for all, the languages that were asked for last come first: a cell for each of them,
    /// then a second for each.
    pub(crate) fn wanted(&self, levels: &[Level], now: Instant) -> Vec<usize> {
        let mut active: Vec<usize> = (0..levels.len()).filter(|place| now < self.idle_from(&levels[*place])).collect();
        active.sort_by_key(|place| Reverse(levels[*place].asked));
        let mut left = self.memory.as_u64();
        let mut wanted = vec![0; levels.len()];
        for _ in 0..self.each {
            let before = left;
            for place in &active {
                if let Some(less) = left.checked_sub(levels[*place].cost.as_u64()) {
                    left = less;
                    wanted[*place] += 1;
                }
            }
            if left == before {
                break;
            }
        }
        wanted
    }

    /// What is to be done next.
    ///
    /// What there is too much of goes first, so that there are never more than memory is for. Then whichever language has
    /// the fewest gets one. What is in it follows what the latest jobs had a use for: the next are likely to be like them.
    ///
    /// But jobs go before: to make a cell for later takes the warden and a CPU that they need. So nothing is made while one
    /// is on its way. Nor while one has just begun, for it may be over in a moment; unless most of the cells are gone.
    pub(crate) fn chore(&self, levels: &[Level], traffic: Traffic, now: Instant) -> Chore {
        let wanted = self.wanted(levels, now);
        let pools = || levels.iter().zip(&wanted).enumerate();
        if let Some((place, _)) = pools().find(|(_, (level, wanted))| **wanted < level.waiting) {
            return Chore::GiveBack(place);
        }
        let lacking = pools().filter(|(_, (level, wanted))| level.waiting < **wanted);
        let barred = lacking.clone().filter_map(|(_, (level, _))| level.barred).filter(|until| now < *until).min();
        let next = lacking
            .filter(|(_, (level, _))| level.barred.is_none_or(|until| until <= now))
            .min_by_key(|(_, (level, _))| (level.waiting, Reverse(level.asked)));
        let calm = traffic.latest + BRIEF;
        let calmer = match next {
            // The last to arrive says so.
            Some(_) if traffic.arriving > 0 => None,
            Some((_, (level, wanted))) if traffic.running > 0 && now < calm && *wanted <= 2 * level.waiting => {
                Some(calm)
            }
            Some((place, (level, _))) => return Chore::Make(place, level.next()),
            None => None,
        };
        let idle =
            pools().filter(|(_, (level, _))| 0 < level.waiting).map(|(_, (level, _))| self.idle_from(level)).min();
        Chore::Rest(barred.into_iter().chain(idle).chain(calmer).min())
    }

    fn idle_from(&self, level: &Level) -> Instant {
        level.asked + self.idle
    }
}

impl Level {
    fn next(&self) -> Filling {
        if self.empty < self.asked_empty { Filling::Nothing } else { Filling::Tool }
    }
}

/// How long to wait after so many failures in a row.
pub(crate) fn pause_after(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);
    const MANY: ByteSize = ByteSize::mib(1000);

    /// Pools with so many waiting cells, last asked for so many seconds before now.
    fn levels(now: Instant, pools: &[(usize, u64)]) -> Vec<Level> {
        let level = |(waiting, ago): &(usize, u64)| Level {
            waiting: *waiting,
            empty: 0,
            asked_empty: 0,
            cost: EMPTY_CELL,
            asked: now - Duration::from_secs(*ago),
            barred: None,
        };
        pools.iter().map(level).collect()
    }

    fn tool(place: usize) -> Chore {
        Chore::Make(place, Filling::Tool)
    }

    impl Traffic {
        fn none(now: Instant) -> Traffic {
            Traffic { arriving: 0, running: 0, latest: now }
        }
    }

    /// A time that has a past.
    fn now() -> Instant {
        Instant::now() + 2 * IDLE
    }

    #[test]
    fn a_cell_with_a_tool_takes_more_of_memory_than_one_without() {
        let now = now();
        let mut pools = levels(now, &[(0, 1), (0, 2)]);
        pools[0].cost = CELL_WITH_TOOL;
        let policy = PoolPolicy { each: 4, memory: ByteSize::mib(20), idle: IDLE };
        assert_eq!(policy.wanted(&pools, now), [1, 4]);
        let policy = PoolPolicy { each: 4, memory: ByteSize::mib(15), idle: IDLE };
        assert_eq!(policy.wanted(&pools, now), [0, 4]);
    }

    #[test]
    fn languages_that_were_asked_for_get_cells_and_memory_bounds_all_of_them() {
        let policy = |each, cells| PoolPolicy { each, memory: ByteSize::mib(cells), idle: IDLE };
        for (each, cells, ago, wanted) in [
            (4, 1000, &[1, 1][..], &[4, 4][..]),
            (4, 1000, &[1, 60], &[4, 0]),
            (4, 1000, &[61, 500], &[0, 0]),
            (0, 1000, &[1, 1], &[0, 0]),
            (4, 0, &[1, 1], &[0, 0]),
            (4, 3, &[1, 2], &[2, 1]),
            (4, 3, &[2, 1], &[1, 2]),
            (4, 2, &[3, 1, 2], &[0, 1, 1]),
            (2, 5, &[3, 1, 2], &[1, 2, 2]),
            (4, 3, &[], &[]),
        ] {
            let now = now();
            let pools: Vec<_> = ago.iter().map(|ago| (0, *ago)).collect();
            let got = policy(each, cells).wanted(&levels(now, &pools), now);
            assert_eq!(got, wanted, "{each} each, room for {cells}, asked for {ago:?} s ago");
        }
    }

    #[test]
    fn the_emptiest_pool_is_filled_first_and_what_is_too_much_goes_before() {
        let policy = PoolPolicy { each: 3, memory: MANY, idle: IDLE };
        for (pools, chore) in [
            (&[(3, 5), (0, 9)][..], tool(1)),
            (&[(1, 5), (2, 1)], tool(0)),
            (&[(1, 5), (1, 1)], tool(1)),
            (&[(0, 5), (4, 1)], Chore::GiveBack(1)),
            (&[(0, 5), (1, 70)], Chore::GiveBack(1)),
            (&[(0, 70), (0, 70)], Chore::Rest(None)),
        ] {
            let now = now();
            assert_eq!(policy.chore(&levels(now, pools), Traffic::none(now), now), chore, "{pools:?}");
        }
    }

    #[test]
    fn a_cell_is_filled_as_the_latest_jobs_had_a_use_for() {
        let (now, policy) = (now(), PoolPolicy { each: 4, memory: MANY, idle: IDLE });
        for (empty, asked_empty, filling) in [
            (0, 0, Filling::Tool),
            (0, 1, Filling::Nothing),
            (1, 1, Filling::Tool),
            (3, 1, Filling::Tool),
            (3, 4, Filling::Nothing),
        ] {
            let pools: Vec<_> =
                levels(now, &[(3, 1)]).into_iter().map(|level| Level { empty, asked_empty, ..level }).collect();
            let chore = policy.chore(&pools, Traffic::none(now), now);
            assert_eq!(chore, Chore::Make(0, filling), "{empty} are empty, {asked_empty} were wanted");
        }
    }

    #[test]
    fn full_pools_rest_until_the_first_of_them_is_idle() {
        let (now, policy) = (now(), PoolPolicy { each: 2, memory: MANY, idle: IDLE });
        let full = levels(now, &[(2, 10), (2, 20)]);
        assert_eq!(
            policy.chore(&full, Traffic::none(now), now),
            Chore::Rest(Some(now + IDLE - Duration::from_secs(20)))
        );
        assert_eq!(policy.chore(&full, Traffic::none(now), now + IDLE), Chore::GiveBack(0));
    }

    #[test]
    fn jobs_go_before_cells_for_later() {
        let (now, policy) = (now(), PoolPolicy { each: 4, memory: MANY, idle: IDLE });
        let ago = |time: Duration| now - time;
        let (idle, calm) = (now + IDLE - Duration::from_secs(10), now + BRIEF / 2);
        for (waiting, arriving, running, latest, chore) in [
            (0, 1, 0, ago(IDLE), Chore::Rest(None)),
            (2, 1, 0, ago(IDLE), Chore::Rest(Some(idle))),
            (2, 0, 1, ago(BRIEF / 2), Chore::Rest(Some(calm))),
            (1, 0, 1, ago(BRIEF / 2), tool(0)),
            (2, 0, 1, ago(BRIEF), tool(0)),
            (3, 0, 0, now, tool(0)),
        ] {
            let traffic = Traffic { arriving, running, latest };
            assert_eq!(policy.chore(&levels(now, &[(waiting, 10)]), traffic, now), chore, "{waiting}, {traffic:?}");
        }
    }

    #[test]
    fn a_language_that_fails_is_left_alone_for_a_while_and_others_are_not() {
        let (now, policy) = (now(), PoolPolicy { each: 1, memory: MANY, idle: IDLE });
        let soon = now + Duration::from_secs(1);
        let mut pools = levels(now, &[(0, 1), (0, 2)]);
        pools[0].barred = Some(soon);
        assert_eq!(policy.chore(&pools, Traffic::none(now), now), tool(1));
        pools[1].waiting = 1;
        assert_eq!(policy.chore(&pools, Traffic::none(now), now), Chore::Rest(Some(soon)));
        assert_eq!(policy.chore(&pools, Traffic::none(now), soon), tool(0));
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let pauses: Vec<u128> = [1, 2, 3, 9, 10, 32, 33, u32::MAX].map(|n| pause_after(n).as_millis()).to_vec();
        assert_eq!(pauses, [100, 200, 400, 25_600, 30_000, 30_000, 30_000, 30_000]);
    }
}
