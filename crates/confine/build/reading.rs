//! A plain reading of a policy's answers, without BPF: the tests' other opinion on what a filter should say.

use std::collections::BTreeMap;

use super::policy::{Answer, Condition, Refusal, Values, Word};

/// What the policy answers a call with, if it does not let it through.
pub(crate) fn refusal(answers: &BTreeMap<u32, Answer>, number: u32, arguments: &[u64; 6]) -> Option<Refusal> {
    let holds = |condition: &Condition| {
        let argument = arguments[condition.arg as usize];
        let word = match condition.word {
            Word::Low => argument as u32,
            Word::High => (argument >> 32) as u32,
        };
        match &condition.values {
            Values::Is(values) => values.contains(&(word & condition.mask)),
            Values::IsNot(values) => !values.contains(&(word & condition.mask)),
        }
    };
    match answers.get(&number) {
        None => Some(Refusal::Enosys),
        Some(Answer::Allow) => None,
        Some(Answer::Refuse(refusal)) => Some(*refusal),
        Some(Answer::When { alternatives, otherwise }) => {
            let allowed = alternatives.iter().any(|conditions| conditions.iter().all(holds));
            (!allowed).then_some(*otherwise)
        }
    }
}
