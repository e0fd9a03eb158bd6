//! Messages between the engine and the warden, when one of them has fallen into the wrong hands: whatever is understood
//! is exactly what was said, and everything else is refused.

use firebox_wire::DecodeError;
use firebox_wire::warden::{
    CellReply, CellRequest, Failure, Held, MESSAGE_BYTES, Made, Make, Measured, Message, Past, Stage, StepLimits,
};

type Bytes = [u8; MESSAGE_BYTES];

const FAILURE: Failure = Failure { stage: Stage::Mount, errno: -1 };

/// One of each kind, with every number as large as it gets.
fn messages() -> Vec<Bytes> {
    let limits = StepLimits {
        memory: u64::MAX,
        tasks: u32::MAX,
        vcpus: u32::MAX,
        disk: u64::MAX,
        inodes: u32::MAX,
        wall_ms: u64::MAX,
    };
    let known = Some(u64::MAX);
    let measured = Measured {
        cpu_ns: u64::MAX,
        past: None,
        memory_peak: known,
        oom_kills: u64::MAX,
        starved: true,
        disk_full: true,
        others: true,
    };
    vec![
        Make { view: u16::MAX }.encode(),
        Made::Cell { number: u32::MAX }.encode(),
        Made::Failed(FAILURE).encode(),
        CellRequest::Limit(limits).encode(),
        CellRequest::Measure.encode(),
        CellRequest::Remove.encode(),
        CellReply::Limited(Held { memory: true, tasks: true, cpu: true, disk: true }).encode(),
        CellReply::Measured(measured).encode(),
        CellReply::Measured(Measured { memory_peak: None, ..measured }).encode(),
        CellReply::Measured(Measured { past: Some(Past::Memory), ..measured }).encode(),
        CellReply::Measured(Measured { past: Some(Past::Tasks), ..measured }).encode(),
        CellReply::Measured(Measured { past: Some(Past::Disk), ..measured }).encode(),
        CellReply::Born.encode(),
        CellReply::Removed.encode(),
        CellReply::Failed(FAILURE).encode(),
    ]
}

/// Reads these bytes as every type there is. Whoever understands them must mean exactly them, and no two may.
fn check(bytes: &[u8]) -> usize {
    let again = [
        Make::decode(bytes).map(|message| message.encode()),
        Made::decode(bytes).map(|message| message.encode()),
        CellRequest::decode(bytes).map(|message| message.encode()),
        CellReply::decode(bytes).map(|message| message.encode()),
    ];
    let understood: Vec<Bytes> = again.into_iter().filter_map(Result::ok).collect();
    for meant in &understood {
        assert_eq!(meant.as_slice(), bytes, "two messages mean the same");
    }
    assert!(understood.len() <= 1, "{bytes:?} is of two types");
    understood.len()
}

#[test]
fn every_change_of_a_byte_is_another_message_or_none() {
    for message in messages() {
        assert_eq!(check(&message), 1, "{message:?} is understood");
        for place in 0..MESSAGE_BYTES {
            for value in 0..=u8::MAX {
                let mut changed = message;
                changed[place] = value;
                check(&changed);
            }
        }
    }
}

#[test]
fn a_message_of_another_length_is_refused() {
    for message in messages() {
        for length in (0..MESSAGE_BYTES).chain(MESSAGE_BYTES + 1..3 * MESSAGE_BYTES) {
            let bytes: Vec<u8> = message.iter().copied().cycle().take(length).collect();
            assert_eq!(check(&bytes), 0, "{length} bytes");
            assert_eq!(CellRequest::decode(&bytes), Err(DecodeError::Length));
            assert_eq!(CellReply::decode(&bytes), Err(DecodeError::Length));
        }
    }
}

#[test]
fn no_random_bytes_are_taken_for_more_than_they_say() {
    // The same numbers every time: xorshift.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..200_000 {
        let mut bytes = [0; MESSAGE_BYTES];
        // All by chance, or only so many as the shortest messages have, so that some are understood.
        let by_chance = if round % 2 == 0 { MESSAGE_BYTES } else { (next() % 7) as usize };
        bytes[..by_chance].fill_with(|| next() as u8);
        // Half of them of a kind that there is.
        if next() % 2 == 0 {
            bytes[0] = 1 + (next() % 10) as u8;
        }
        check(&bytes);
    }
}
