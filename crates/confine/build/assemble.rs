//! From a policy's answers to a classic BPF program.
//!
//! ```text
//! architecture? --other--> kill
//!      | ours
//! binary search over ranges of numbers with the same answer --> return it, or look at arguments first
//! ```
//!
//! A search and not a chain of comparisons, because installing a filter makes the kernel walk it once for every system
//! call there is, to learn which ones it always allows: a chain of three hundred comparisons costs a millisecond there,
//! more than all the rest of confinement.

use std::collections::BTreeMap;

use crate::policy::{Answer, Condition, Values, Word};

// `linux/bpf_common.h`, joined as we use them.
const LOAD_WORD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;

// `linux/seccomp.h`.
const KILL_PROCESS: u32 = 0x8000_0000;
const ERRNO: u32 = 0x0005_0000;
const ALLOW: u32 = 0x7fff_0000;
/// Offsets into `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    /// Instructions to skip when the comparison holds.
    pub(crate) if_true: u8,
    /// And when it does not.
    pub(crate) if_false: u8,
    pub(crate) operand: u32,
}

/// Compiles the answers, with another for every number without one; a call of another architecture kills the process.
pub(crate) fn assemble(answers: &BTreeMap<u32, Answer>, otherwise: &Answer, audit: u32) -> Vec<Instruction> {
    let mut program = vec![
        plain(LOAD_WORD, ARCHITECTURE),
        branch(JUMP_IF_EQUAL, audit, 1, 0),
        plain(RETURN, KILL_PROCESS),
        plain(LOAD_WORD, NUMBER),
    ];
    program.extend(search(&ranges(answers, otherwise)));
    program
}

/// The numbers at which the answer changes, each with the code that gives the answer from there on.
///
/// The last range has no end, so it holds x32's numbers (from 0x40000000) and every other one that is no call.
fn ranges(answers: &BTreeMap<u32, Answer>, otherwise: &Answer) -> Vec<(u32, Vec<Instruction>)> {
    let end = answers.keys().next_back().map_or(0, |last| last + 1);
    let mut ranges: Vec<(u32, Vec<Instruction>)> = Vec::new();
    for number in 0..=end {
        let code = answer(answers.get(&number).unwrap_or(otherwise));
        if ranges.last().is_none_or(|(_, before)| *before != code) {
            ranges.push((number, code));
        }
    }
    ranges
}

/// Code that finds the range of the number in the accumulator.
fn search(ranges: &[(u32, Vec<Instruction>)]) -> Vec<Instruction> {
    if let [(_, code)] = ranges {
        return code.clone();
    }
    let (below, from) = ranges.split_at(ranges.len() / 2);
    let (first, below, from) = (from[0].0, search(below), search(from));
    let mut code = match u8::try_from(below.len()) {
        Ok(distance) => vec![branch(JUMP_IF_AT_LEAST, first, distance, 0)],
        // A comparison jumps at most 255 instructions, a plain jump any number.
        Err(_) => vec![branch(JUMP_IF_AT_LEAST, first, 0, 1), jump(below.len())],
    };
    code.extend(below);
    code.extend(from);
    code
}

fn answer(answer: &Answer) -> Vec<Instruction> {
    match answer {
        Answer::Allow => vec![plain(RETURN, ALLOW)],
        Answer::Refuse(refusal) => vec![plain(RETURN, ERRNO | refusal.errno())],
        Answer::When { alternatives, otherwise } => {
            let mut code: Vec<Instruction> = alternatives.iter().flat_map(|it| alternative(it)).collect();
            code.push(plain(RETURN, ERRNO | otherwise.errno()));
            code
        }
    }
}

/// Code that allows when all conditions hold and else runs off its end. Built from the end, where the jumps lead.
fn alternative(conditions: &[Condition]) -> Vec<Instruction> {
    conditions.iter().rev().fold(vec![plain(RETURN, ALLOW)], |rest, condition| {
        let Condition { arg, word, mask, values } = condition;
        let half = match word {
            Word::Low => 0,
            Word::High => 4,
        };
        let mut code = vec![plain(LOAD_WORD, ARGUMENTS + 8 * arg + half)];
        if *mask != u32::MAX {
            code.push(plain(AND, *mask));
        }
        match values {
            Values::Is(values) => {
                code.extend(skip_if_any(values, 1));
                code.push(jump(rest.len()));
            }
            Values::IsNot(values) => {
                code.extend(skip_if_any(values, 1));
                code.extend([jump(1), jump(rest.len())]);
            }
        }
        code.extend(rest);
        code
    })
}

/// Comparisons that skip `distance` instructions past the last of them when one holds.
fn skip_if_any(values: &[u32], distance: usize) -> impl Iterator<Item = Instruction> {
    values.iter().enumerate().map(move |(index, &value)| {
        let left = values.len() - 1 - index + distance;
        branch(JUMP_IF_EQUAL, value, u8::try_from(left).expect("a condition names fewer than 255 values"), 0)
    })
}

fn plain(code: u16, operand: u32) -> Instruction {
    branch(code, operand, 0, 0)
}

fn jump(distance: usize) -> Instruction {
    plain(JUMP, u32::try_from(distance).expect("the kernel takes 4096 instructions"))
}

fn branch(code: u16, operand: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction { code, if_true, if_false, operand }
}
