//! A duration, as people write it: `10s`, `500ms`, `2m`, `1.5`.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time; write a number with ms, s, m or h (`500ms`, `10s`, `2m`), or plain seconds")]
pub(crate) struct ParseDurationError {
    text: String,
}

/// Reads a duration. A number without a unit is seconds, as in the JSON.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, ParseDurationError> {
    let refuse = || ParseDurationError { text: text.to_owned() };
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let (seconds_per_unit, units_per_second) = match unit.trim_start() {
        "ms" => (1.0, 1000.0),
        "" | "s" => (1.0, 1.0),
        "m" | "min" => (60.0, 1.0),
        "h" => (3600.0, 1.0),
        _ => return Err(refuse()),
    };
    // Only digits and dots are left, so this is never an infinity by name or a negative number.
    let number: f64 = number.parse().map_err(|_| refuse())?;
    // Divided, not multiplied by 0.001: the quotient is the double nearest to what was written.
    Duration::try_from_secs_f64(number * seconds_per_unit / units_per_second).map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, milliseconds) in [
            ("10s", 10_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("60", 60_000),
            ("1.5", 1_500),
            ("0.1s", 100),
            ("3 s", 3_000),
            ("0", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_text_that_was_given() {
        for text in ["", "s", "-1", "1d", "1.2.3", "inf", "NaN", "1e3", "ten", "99999999999999999999999999h"] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
        }
    }
}
