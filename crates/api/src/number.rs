//! A number as clients write and read it: whole where it is whole, with a fraction where it is not.
//!
//! Limits are kept in bytes and nanoseconds, and shown in MiB, KiB, seconds and milliseconds. A division by a power
//! of two is exact in a double, and a double is written with as many digits as it takes to read it back, so what a
//! client is shown is never rounded.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use firebox_job::ByteSize;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// A number that is not negative.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Number(f64);

/// Doubles are exact for whole numbers up to here; no limit comes near it.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

impl Number {
    /// A number by itself; none when it is negative, infinite or none at all.
    pub fn new(number: f64) -> Option<Number> {
        (number.is_finite() && number >= 0.0).then_some(Number(number))
    }

    /// The number by itself.
    pub fn as_f64(self) -> f64 {
        self.0
    }

    /// A size in MiB.
    pub fn mib(size: ByteSize) -> Number {
        Number(size.as_u64() as f64 / 1_048_576.0)
    }

    /// A size in KiB.
    pub fn kib(size: ByteSize) -> Number {
        Number(size.as_u64() as f64 / 1024.0)
    }

    /// A duration in seconds.
    pub fn seconds(duration: Duration) -> Number {
        Number(duration.as_secs_f64())
    }

    /// A duration in milliseconds, to the microsecond: finer digits are noise.
    pub fn milliseconds(duration: Duration) -> Number {
        Number(duration.as_micros() as f64 / 1000.0)
    }

    /// So many MiB, to the nearest byte; none when there is no such size.
    pub fn as_mib(self) -> Option<ByteSize> {
        self.times(1_048_576.0)
    }

    /// So many KiB, to the nearest byte; none when there is no such size.
    pub fn as_kib(self) -> Option<ByteSize> {
        self.times(1024.0)
    }

    /// So many seconds; none when no duration is that long.
    pub fn as_seconds(self) -> Option<Duration> {
        let duration = Duration::try_from_secs_f64(self.0).ok()?;
        // The least that there is, and not nothing.
        Some(if self.0 > 0.0 { duration.max(Duration::from_nanos(1)) } else { duration })
    }

    fn times(self, unit: f64) -> Option<ByteSize> {
        let bytes = (self.0 * unit).round();
        (bytes <= LARGEST_EXACT).then_some(ByteSize::bytes(bytes as u64))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Number(number) = *self;
        if number.fract() == 0.0 && number <= LARGEST_EXACT {
            serializer.serialize_u64(number as u64)
        } else {
            serializer.serialize_f64(number)
        }
    }
}

impl JsonSchema for Number {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number", "minimum": 0})
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

/// A count, which may also be absent. `2.0` is as whole as `2`: in JSON both are the same number.
pub(crate) fn some_whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    const EXPECTED: &str = "a whole number that is not negative";
    let Some(number) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
    let is_whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    // Within these bounds the conversion is exact.
    is_whole
        .then_some(Some(number as u32))
        .ok_or_else(|| de::Error::invalid_value(de::Unexpected::Float(number), &EXPECTED))
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number that is not negative")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
        Ok(Number(number as f64))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Number, E> {
        u64::try_from(number)
            .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
            .and_then(|number| self.visit_u64(number))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Number, E> {
        if number.is_finite() && number >= 0.0 {
            Ok(Number(number))
        } else {
            Err(E::invalid_value(de::Unexpected::Float(number), &self))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_shown_whole_and_others_exactly() {
        for (number, shown) in [
            (Number::mib(ByteSize::mib(512)), "512"),
            (Number::mib(ByteSize::kib(64)), "0.0625"),
            (Number::mib(ByteSize::bytes(1_000_001)), "0.9536752700805664"),
            (Number::kib(ByteSize::bytes(1025)), "1.0009765625"),
            (Number::seconds(Duration::from_millis(1500)), "1.5"),
            (Number::seconds(Duration::from_secs(60)), "60"),
            (Number::milliseconds(Duration::from_nanos(12_345_678)), "12.345"),
            (Number::milliseconds(Duration::ZERO), "0"),
        ] {
            assert_eq!(serde_json::to_string(&number).unwrap(), shown);
        }
    }

    #[test]
    fn a_size_that_was_shown_reads_back_to_the_same_byte() {
        for bytes in [1, 1023, 1_000_001, (1 << 30) + 1, u64::from(u32::MAX) * 1000 + 7] {
            let size = ByteSize::bytes(bytes);
            let shown = serde_json::to_string(&Number::mib(size)).unwrap();
            let read: Number = serde_json::from_str(&shown).unwrap();
            assert_eq!(read.as_mib(), Some(size), "{shown}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["-1", "-0.5", "\"10\"", "null", "true", "1e999"] {
            assert!(serde_json::from_str::<Number>(text).is_err(), "{text}");
        }
        let huge: Number = serde_json::from_str("1e300").unwrap();
        assert_eq!((huge.as_mib(), huge.as_seconds()), (None, None));
    }
}
