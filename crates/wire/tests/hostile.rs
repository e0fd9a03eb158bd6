//! What comes out of a cell is hostile: whatever is not exactly a frame of this version is refused.

use firebox_wire::warden::{
    CellReply, CellRequest, Failure, Held, MESSAGE_BYTES, Made, Make, Measured, Message, Past, Stage, StepLimits,
};
use firebox_wire::{
    DecodeError, End, Ends, FetchOrder, FrameBuffer, Growth, HEADER_BYTES, Halt, Header, MAX_PAYLOAD, MadeFile, Order,
    Refusal, Report, Start, StepOrder, StepStdin, Strings, StringsBuilder, Terms, VERSION,
};

/// One of each kind.
fn reports() -> Vec<Report<'static>> {
    vec![
        Report::Ready { version: VERSION },
        Report::Stored,
        Report::Prepared,
        Report::Image(b"image"),
        Report::Frozen { asks: true },
        Report::Learnt(b"pages"),
        Report::Started,
        Report::Stdout(b"out"),
        Report::Stderr(b"err"),
        Report::StdinTaken,
        Report::Ended(End::Exited(7)),
        Report::Ended(End::Signaled(9)),
        Report::Made(MadeFile {
            bytes: u64::MAX - 1,
            is_executable: true,
            blocks: 3,
            since_stored: Growth { inodes: -1, blocks: i64::MIN },
        }),
        Report::Content(b"content"),
        Report::Refused { what: Refusal::Exec, errno: 13 },
    ]
}

fn split(frame: &[u8]) -> (Header, &[u8]) {
    let (header, payload) = frame.split_first_chunk::<HEADER_BYTES>().unwrap();
    (Header::parse(*header).unwrap(), payload)
}

#[test]
fn a_report_that_is_longer_or_shorter_than_its_kind_is_refused() {
    for report in reports() {
        let mut buffer = [0; 64];
        let frame = report.encode(&mut buffer).unwrap();
        let (header, payload) = split(frame);
        assert_eq!(Report::decode(header, payload), Ok(report));
        let of_any_length = |report: &Report<'_>| {
            use Report::{Content, Image, Learnt, Stderr, Stdout};
            matches!(report, Stdout(_) | Stderr(_) | Image(_) | Learnt(_) | Content(_))
        };
        if of_any_length(&report) {
            continue;
        }
        let longer = [payload, &[0]].concat();
        assert!(Report::decode(header, &longer).is_err(), "{report:?} with a byte more");
        if let Some((_, shorter)) = payload.split_last() {
            assert!(Report::decode(header, shorter).is_err(), "{report:?} with a byte less");
        }
    }
}

#[test]
fn numbers_that_stand_for_nothing_are_refused() {
    let ended = 8;
    let refused = 9;
    let made = 12;
    for (kind, payload, error) in [
        (0, &[][..], DecodeError::UnknownKind(0)),
        (15, &[], DecodeError::UnknownKind(15)),
        (255, &[], DecodeError::UnknownKind(255)),
        (ended, &[2, 0], DecodeError::Value(2)),
        (ended, &[1, 0], DecodeError::Value(0)),
        (ended, &[1, 65], DecodeError::Value(65)),
        (refused, &[0, 0, 0, 0, 0], DecodeError::Value(0)),
        (refused, &[8, 0, 0, 0, 0], DecodeError::Value(8)),
        (made, &[2; 33], DecodeError::Value(2)),
    ] {
        let header = Header::new(kind, payload.len()).unwrap();
        assert_eq!(Report::decode(header, payload), Err(error), "kind {kind}, {payload:?}");
    }
}

#[test]
fn a_length_above_the_limit_is_refused_before_anything_is_read() {
    let announced = (MAX_PAYLOAD as u32 + 1).to_le_bytes();
    let mut bytes = [5, 0, 0, 0, 0, 0, 0, 0];
    bytes[4..].copy_from_slice(&announced);
    assert_eq!(Header::parse(bytes), Err(DecodeError::TooLong { length: MAX_PAYLOAD as u32 + 1 }));
    bytes[4..].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Header::parse(bytes), Err(DecodeError::TooLong { length: u32::MAX }));
    assert_eq!(Header::parse([5, 0, 1, 0, 0, 0, 0, 0]), Err(DecodeError::Reserved));
    assert_eq!(Header::new(5, MAX_PAYLOAD + 1), None);
}

#[test]
fn a_frame_is_put_together_from_pieces_of_any_size() {
    let mut stream = Vec::new();
    for report in reports() {
        let mut buffer = [0; 64];
        stream.extend_from_slice(report.encode(&mut buffer).unwrap());
    }
    for size in 1..stream.len() {
        let mut frames = FrameBuffer::new(vec![0; FrameBuffer::<Vec<u8>>::BYTES]).unwrap();
        let mut seen = 0;
        for piece in stream.chunks(size) {
            frames.room()[..piece.len()].copy_from_slice(piece);
            frames.filled(piece.len());
            while let Some((header, payload)) = frames.take().unwrap() {
                assert_eq!(Report::decode(header, payload), Ok(reports()[seen]), "pieces of {size}");
                seen += 1;
            }
        }
        assert_eq!(seen, reports().len(), "pieces of {size}");
    }
}

#[test]
fn a_frame_of_the_largest_size_fits_and_leaves_no_room_for_a_larger_one() {
    let output = vec![b'x'; MAX_PAYLOAD];
    let mut buffer = vec![0; HEADER_BYTES + MAX_PAYLOAD];
    assert!(Report::Stdout(&output).encode(&mut buffer).is_some());
    let larger = vec![b'x'; MAX_PAYLOAD + 1];
    assert_eq!(Report::Stdout(&larger).encode(&mut vec![0; HEADER_BYTES + MAX_PAYLOAD + 1]), None);
    assert!(FrameBuffer::new(vec![0; HEADER_BYTES + MAX_PAYLOAD - 1]).is_none());
}

#[test]
fn strings_are_as_many_as_announced_and_none_holds_a_nul() {
    assert!(Strings::new(2, b"a\0b\0").is_ok());
    for (count, bytes) in [(1, &b"a\0b\0"[..]), (3, b"a\0b\0"), (1, b"a"), (0, b"\0"), (u32::MAX, b"")] {
        assert_eq!(Strings::new(count, bytes), Err(DecodeError::Strings), "{count} in {bytes:?}");
    }
    let mut buffer = [0; 8];
    let mut strings = StringsBuilder::new(&mut buffer);
    assert!(strings.push(b"abc"));
    assert!(!strings.push(b"a\0c"), "a NUL would make two strings of one");
    assert!(!strings.push(b"abcd"), "five bytes do not fit into the four that are left");
    assert!(strings.push(b"def"));
    assert_eq!(strings.finish().iter().collect::<Vec<_>>(), [b"abc\0", b"def\0"]);
}

#[test]
fn a_step_without_a_program_or_with_lists_that_do_not_add_up_is_refused() {
    let argv = Strings::new(1, b"/bin/true\0").unwrap();
    let env = Strings::new(1, b"A=b\0").unwrap();
    let step = StepOrder { argv, env, start: Start::Ahead(Halt::Asks), renewed: 2496 };
    let mut buffer = [0; 128];
    let (header, payload) = split(Order::Step(step).encode(&mut buffer).unwrap());
    assert_eq!(Order::decode(header, payload), Ok(Order::Step(step)));
    for cut in 0..payload.len() {
        assert!(Order::decode(header, &payload[..cut]).is_err(), "cut at {cut}");
    }
    for start in [Start::Fresh, Start::Ahead(Halt::Loaded), Start::Thawed, Start::ThawedAhead(Halt::Asks)] {
        let mut buffer = [0; 128];
        let (header, payload) = split(Order::Step(StepOrder { start, ..step }).encode(&mut buffer).unwrap());
        assert_eq!(Order::decode(header, payload), Ok(Order::Step(StepOrder { start, ..step })));
    }
    let functions = Strings::new(2, b"one\0other\0").unwrap();
    let mut buffer = [0; 128];
    let (header, payload) = split(Order::Freeze(functions).encode(&mut buffer).unwrap());
    assert_eq!(Order::decode(header, payload), Ok(Order::Freeze(functions)));
    for ends in [Ends::Gone, Ends::Over] {
        let terms = Terms { stdin: StepStdin::Frames, file_bytes: 1 << 40, tasks: 65, ends };
        for order in [Order::Go(terms), Order::Learn(terms)] {
            let mut buffer = [0; 128];
            let (header, payload) = split(order.encode(&mut buffer).unwrap());
            assert_eq!(Order::decode(header, payload), Ok(order));
            assert!(Order::decode(header, &[payload, &[0]].concat()).is_err(), "terms with a byte more");
            for cut in 0..payload.len() {
                assert!(Order::decode(header, &payload[..cut]).is_err(), "terms cut at {cut}");
            }
        }
    }
    let nothing = Strings::new(0, b"").unwrap();
    let mut buffer = [0; 128];
    let (header, payload) = split(Order::Step(StepOrder { argv: nothing, ..step }).encode(&mut buffer).unwrap());
    assert_eq!(Order::decode(header, payload), Err(DecodeError::Strings));
}

#[test]
fn an_order_to_hand_a_file_out_says_how_much_is_wanted() {
    let order = Order::Fetch(FetchOrder { name: b"runbin", most: 1 << 33 });
    let mut buffer = [0; 64];
    let (header, payload) = split(order.encode(&mut buffer).unwrap());
    assert_eq!(Order::decode(header, payload), Ok(order));
    for cut in 0..8 {
        assert!(Order::decode(header, &payload[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn the_warden_understands_only_whole_messages_of_the_right_kind() {
    let make = Make { view: 513 }.encode();
    assert_eq!(Make::decode(&make), Ok(Make { view: 513 }));
    assert!(CellRequest::decode(&make).is_err(), "a request to make a cell says nothing about one");
    assert_eq!(Make::decode(&make[..MESSAGE_BYTES - 1]), Err(DecodeError::Length));
    assert_eq!(Make::decode(&[make.as_slice(), &[0]].concat()), Err(DecodeError::Length));

    let limits = StepLimits { memory: 1 << 40, tasks: 64, vcpus: 2, disk: 3, inodes: 4, wall_ms: 5 };
    for request in [CellRequest::Limit(limits), CellRequest::Measure, CellRequest::Remove] {
        assert_eq!(CellRequest::decode(&request.encode()), Ok(request));
        assert!(Make::decode(&request.encode()).is_err());
    }
    for kind in 0..=u8::MAX {
        let mut message = [0; MESSAGE_BYTES];
        message[0] = kind;
        let known = [4, 5, 6].contains(&kind);
        assert_eq!(CellRequest::decode(&message).is_ok(), known, "kind {kind}");
    }
}

#[test]
fn an_answer_of_the_wardens_with_an_odd_flag_or_stage_is_refused() {
    let measured = Measured {
        cpu_ns: 1,
        past: Some(Past::Tasks),
        memory_peak: None,
        oom_kills: 2,
        starved: false,
        disk_full: true,
        others: false,
    };
    let held = Held { memory: true, tasks: false, cpu: true, disk: false };
    let failure = Failure { stage: Stage::Proc, errno: 1 };
    for reply in [
        CellReply::Born,
        CellReply::Measured(measured),
        CellReply::Limited(held),
        CellReply::Removed,
        CellReply::Failed(failure),
    ] {
        assert_eq!(CellReply::decode(&reply.encode()), Ok(reply));
    }
    let mut odd = CellReply::Limited(held).encode();
    odd[2] = 2;
    assert_eq!(CellReply::decode(&odd), Err(DecodeError::Value(2)));
    let mut odd = Made::Failed(failure).encode();
    odd[1] = 200;
    assert_eq!(Made::decode(&odd), Err(DecodeError::Value(200)));
}
