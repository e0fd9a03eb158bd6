//! When to ask again, as whoever cannot now says it: the header `Retry-After`, in seconds or as a moment.
//!
//! Only reads it. How long that may be at most is for those to say who wait.

use std::time::{Duration, SystemTime};

use ureq::http::{HeaderMap, header};

/// How long to wait. None where it is not said, or not so that it can be understood, or as a moment that has passed.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|header| header.to_str().ok()).map(str::trim);
    let said = text(header::RETRY_AFTER)?;
    if let Ok(seconds) = said.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let moment = httpdate::parse_http_date(said).ok()?;
    // By the clock of whoever names the moment, where that is said: ours may be another.
    let now = text(header::DATE).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
    moment.duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the moment that standards of HTTP are fond of.
    const THEN: Duration = Duration::from_secs(784_111_777);

    fn asked(said: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, said.parse().unwrap());
        if let Some(date) = date {
            headers.insert(header::DATE, date.parse().unwrap());
        }
        retry_after(&headers, SystemTime::UNIX_EPOCH + THEN).map(|pause| pause.as_secs())
    }

    #[test]
    fn seconds_and_moments_mean_the_same() {
        for (said, seconds) in [
            ("0", 0),
            (" 7 ", 7),
            ("Sun, 06 Nov 1994 08:49:47 GMT", 10),
            ("Sunday, 06-Nov-94 08:49:47 GMT", 10),
            ("Sun Nov  6 08:49:47 1994", 10),
            ("Mon, 07 Nov 1994 08:49:37 GMT", 86_400),
        ] {
            assert_eq!(asked(said, None), Some(seconds), "{said}");
        }
    }

    #[test]
    fn a_moment_is_by_the_clock_of_whoever_names_it() {
        let said = "Sun, 06 Nov 1994 08:49:47 GMT";
        assert_eq!(asked(said, Some("Sun, 06 Nov 1994 08:49:44 GMT")), Some(3));
        assert_eq!(asked(said, Some("some other day")), Some(10));
        assert_eq!(asked("7", Some("Sun, 06 Nov 1994 08:49:44 GMT")), Some(7));
    }

    #[test]
    fn what_is_neither_says_nothing() {
        for said in [
            "",
            "soon",
            "-1",
            "1.5",
            "99999999999999999999",
            "Sun, 06 Nov 1994",
            "Sun, 06 Nov 1994 08:49:27 GMT",
            "Sun, 66 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(asked(said, None), None, "{said}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }
}
