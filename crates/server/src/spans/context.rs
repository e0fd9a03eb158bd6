//! Which trace a client's request belongs to: the header `traceparent` of W3C Trace Context.

use std::fmt;

use axum::http::HeaderMap;

const HEADER: &str = "traceparent";

/// The trace that a job is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceContext {
    pub(crate) trace: u128,
    /// The client's span that the job is part of.
    pub(crate) parent: u64,
    /// Whether the client wants it to be collected.
    pub(crate) is_sampled: bool,
}

impl TraceContext {
    /// What the client said; none when it said nothing, or nothing that makes sense.
    pub(crate) fn of(headers: &HeaderMap) -> Option<TraceContext> {
        let mut said = headers.get_all(HEADER).iter();
        let (Some(said), None) = (said.next(), said.next()) else { return None };
        TraceContext::read(said.to_str().ok()?)
    }

    /// Reads what is written in a header.
    pub(crate) fn read(text: &str) -> Option<TraceContext> {
        let mut parts = text.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // Later versions may have more behind it, this one has not.
        let is_known = hex(version, 2)? != 0xff && (version != "00" || parts.next().is_none());
        let (trace, parent, flags) = (hex(trace, 32)?, hex(parent, 16)?, hex(flags, 2)?);
        let parent = u64::try_from(parent).ok()?;
        (is_known && trace != 0 && parent != 0).then_some(TraceContext { trace, parent, is_sampled: flags & 1 == 1 })
    }
}

/// As a header has it.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TraceContext { trace, parent, is_sampled } = self;
        write!(f, "00-{trace:032x}-{parent:016x}-{:02x}", u8::from(*is_sampled))
    }
}

/// So many digits, in small letters.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex { u128::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_taken_over_if_it_makes_sense() {
        let trace = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
        let of = |is_sampled| Some(TraceContext { trace, parent: 0xb7ad_6b71_6920_3331, is_sampled });
        assert_eq!(TraceContext::read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), of(true));
        assert_eq!(TraceContext::read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"), of(false));
        for is_sampled in [false, true] {
            assert_eq!(TraceContext::read(&of(is_sampled).unwrap().to_string()), of(is_sampled));
        }
        assert_eq!(TraceContext::read("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"), of(true));
        for text in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::read(text), None, "{text}");
        }
    }
}
