//! What an agent can say: every report as it should be, and every way to say it wrongly.

use firebox_wire::{End, HEADER_BYTES, MAX_PAYLOAD, MadeFile, Refusal, Report, VERSION};

use super::play::MADE;

/// Some bytes that an agent says, and what is to be said of them when a claim does not hold.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn frame(report: &Report<'_>) -> Vec<u8> {
    let mut buffer = vec![0; HEADER_BYTES + MAX_PAYLOAD];
    report.encode(&mut buffer).expect("a report fits").to_vec()
}

/// A header and a payload that need not fit each other.
fn raw(kind: u8, announced: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(announced.to_le_bytes());
    bytes.extend(payload);
    bytes
}

/// One report of each kind.
pub(super) fn reports() -> Vec<Report<'static>> {
    vec![
        Report::Ready { version: VERSION },
        Report::Stored,
        Report::Prepared,
        Report::Started,
        Report::Stdout(b"out"),
        Report::Stderr(b"err"),
        Report::StdinTaken,
        Report::Ended(End::Exited(0)),
        Report::Ended(End::Signaled(9)),
        Report::Made(MADE),
        Report::Content(b"more"),
        Report::Refused { what: Refusal::Exec, errno: 2 },
    ]
}

/// Frames without a fault, whose only fault is to come when nobody asked: one of each kind, and whatever might be
/// mistaken for a limit or for a reason.
pub(super) fn whole() -> Vec<Said> {
    let mut all = reports();
    all.extend([0, VERSION + 1, u16::MAX].map(|version| Report::Ready { version }));
    all.extend([1, 101, 124, 130, 137, 152, 153, 255].map(|code| Report::Ended(End::Exited(code))));
    // SIGXCPU and SIGXFSZ among them.
    all.extend([7, 15, 24, 25, 64].map(|signal| Report::Ended(End::Signaled(signal))));
    for what in
        [Refusal::Confine, Refusal::Store, Refusal::Fork, Refusal::Exec, Refusal::Order, Refusal::Ahead, Refusal::Fetch]
    {
        // ENOMEM and ENOSPC among them.
        all.extend([0, -1, 12, 28, i32::MIN, i32::MAX].map(|errno| Report::Refused { what, errno }));
    }
    all.extend([Report::Stdout(b""), Report::Stderr(b""), Report::Stdout(&[b'x'; MAX_PAYLOAD])]);
    all.extend([Report::Content(b""), Report::Content(&[b'x'; MAX_PAYLOAD])]);
    all.extend(
        [0, 1, 1 << 20, 16 << 20, (16 << 20) + 1, u64::MAX].map(|bytes| Report::Made(MadeFile { bytes, ..MADE })),
    );
    all.extend([0, u64::MAX].map(|blocks| Report::Made(MadeFile { blocks, ..MADE })));
    all.iter().map(said).collect()
}

fn said(report: &Report<'_>) -> Said {
    let name = match report {
        Report::Stdout(bytes) => format!("Stdout of {}", bytes.len()),
        Report::Stderr(bytes) => format!("Stderr of {}", bytes.len()),
        Report::Content(bytes) => format!("Content of {}", bytes.len()),
        other => format!("{other:?}"),
    };
    Said { name, bytes: frame(report) }
}

/// Bytes that are no frame of this version.
pub(super) fn malformed() -> Vec<Said> {
    let mut all = Vec::new();
    let mut add = |name: String, bytes: Vec<u8>| all.push(Said { name, bytes });
    for report in reports() {
        let Said { name, bytes } = said(&report);
        let (kind, payload) = (bytes[0], &bytes[HEADER_BYTES..]);
        let length = payload.len() as u32;
        add(format!("{name}, a byte longer"), raw(kind, length + 1, &[payload, &[0]].concat()));
        if let Some((_, shorter)) = payload.split_last() {
            add(format!("{name}, a byte shorter"), raw(kind, length - 1, shorter));
        }
        for reserved in 1..4 {
            let mut odd = bytes.clone();
            odd[reserved] = 1;
            add(format!("{name}, reserved byte {reserved} set"), odd);
        }
        for announced in [MAX_PAYLOAD as u32, MAX_PAYLOAD as u32 + 1, 1 << 31, u32::MAX] {
            add(format!("{name}, announcing {announced}"), raw(kind, announced, payload));
        }
    }
    let too_large = vec![b'x'; MAX_PAYLOAD + 1];
    add("Stdout of more than fits".to_owned(), raw(5, too_large.len() as u32, &too_large));
    for kind in [0, 12, 127, 255] {
        add(format!("kind {kind}"), raw(kind, 0, &[]));
    }
    for (kind, payload) in
        [(8, &[2, 0][..]), (8, &[1, 0]), (8, &[1, 65]), (8, &[255, 255]), (9, &[0; 5]), (9, &[7, 0, 0, 0, 0])]
    {
        add(format!("kind {kind} with {payload:?}"), raw(kind, payload.len() as u32, payload));
    }
    all
}

/// Frames of which only the first bytes come.
pub(super) fn cut_short() -> Vec<Said> {
    let cut = |report: Report<'_>| {
        let Said { name, bytes } = said(&report);
        (1..bytes.len())
            .map(move |length| Said { name: format!("{length} bytes of {name}"), bytes: bytes[..length].to_vec() })
    };
    reports().into_iter().flat_map(cut).collect()
}
