//! The header before each packet between guest and host.

/// What a packet is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// Somebody wants a connection.
    Request,
    /// And gets it.
    Response,
    /// There is no such connection, or no longer.
    Reset,
    /// Whoever sends this will receive no more, send no more, or neither.
    Shutdown,
    /// Bytes.
    Data,
    /// How much room there is.
    Credit,
    /// How much room is there?
    CreditAsked,
}

const OPS: [(u16, Op); 7] = [
    (1, Op::Request),
    (2, Op::Response),
    (3, Op::Reset),
    (4, Op::Shutdown),
    (5, Op::Data),
    (6, Op::Credit),
    (7, Op::CreditAsked),
];

/// The only kind of connection there is.
pub(super) const STREAM: u16 = 1;
/// Flags of [`Op::Shutdown`].
pub(super) const RECEIVES_NO_MORE: u32 = 1;
pub(super) const SENDS_NO_MORE: u32 = 2;

/// A header, as it stands in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) from_port: u32,
    pub(super) to_port: u32,
    /// How many bytes come behind it.
    pub(super) length: u32,
    pub(super) kind: u16,
    pub(super) op: u16,
    pub(super) flags: u32,
    /// How much room its sender has for a connection in all, and how much of what it got it has used up, ever.
    pub(super) room: u32,
    pub(super) used_up: u32,
}

impl Header {
    pub(super) const LENGTH: usize = 44;

    pub(super) fn from_bytes(bytes: &[u8; Header::LENGTH]) -> Header {
        let mut rest = bytes.as_slice();
        Header {
            from: u64::from_le_bytes(next(&mut rest)),
            to: u64::from_le_bytes(next(&mut rest)),
            from_port: u32::from_le_bytes(next(&mut rest)),
            to_port: u32::from_le_bytes(next(&mut rest)),
            length: u32::from_le_bytes(next(&mut rest)),
            kind: u16::from_le_bytes(next(&mut rest)),
            op: u16::from_le_bytes(next(&mut rest)),
            flags: u32::from_le_bytes(next(&mut rest)),
            room: u32::from_le_bytes(next(&mut rest)),
            used_up: u32::from_le_bytes(next(&mut rest)),
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let Header { from, to, from_port, to_port, length, kind, op, flags, room, used_up } = self;
        let mut bytes = [from.to_le_bytes(), to.to_le_bytes()].concat();
        bytes.extend([from_port.to_le_bytes(), to_port.to_le_bytes(), length.to_le_bytes()].concat());
        bytes.extend([kind.to_le_bytes(), op.to_le_bytes()].concat());
        bytes.extend([flags.to_le_bytes(), room.to_le_bytes(), used_up.to_le_bytes()].concat());
        bytes
    }

    pub(super) fn op(&self) -> Option<Op> {
        OPS.iter().find(|(number, _)| *number == self.op).map(|(_, op)| *op)
    }

    pub(super) fn with_op(self, op: Op) -> Header {
        let number = OPS.iter().find(|(_, known)| *known == op).map_or(0, |(number, _)| *number);
        Header { op: number, ..self }
    }

    /// The answer that says there is no such connection.
    pub(super) fn refused(&self) -> Header {
        let Header { from, to, from_port, to_port, kind, .. } = *self;
        let swapped = Header { from: to, to: from, from_port: to_port, to_port: from_port, kind, ..Header::default() };
        swapped.with_op(Op::Reset)
    }
}

/// The next bytes, and zeros where there are none: every caller has as many as it takes.
fn next<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let Some((now, later)) = rest.split_first_chunk::<N>() else { return [0; N] };
    *rest = later;
    *now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_stands_where_the_specification_has_it() {
        let bytes: [u8; Header::LENGTH] = std::array::from_fn(|place| place as u8);
        let header = Header::from_bytes(&bytes);
        assert_eq!(header.from, 0x0706_0504_0302_0100);
        assert_eq!((header.to_port, header.length), (0x1716_1514, 0x1B1A_1918));
        assert_eq!((header.kind, header.op, header.used_up), (0x1D1C, 0x1F1E, 0x2B2A_2928));
        assert_eq!(header.bytes(), bytes);
    }
}
