//! What stands behind the `?` of an address: known names, each once.

use std::time::Duration;

use axum::extract::Query;
use axum::http::Uri;
use firebox_api::{JobStatus, Refusal, RefusalCode};

use super::cursor::Cursor;

/// How long a client may wait for a job's end.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How such a time is written, for whoever reads the description. [`time`] takes the same.
pub(super) const TIME: &str = "^0*([0-9]{1,4}|[1-5][0-9]{4}|60000)ms$\
    |^0*(([0-9]|[1-5][0-9])([.][0-9]{1,9})?|60([.]0{1,9})?)s?$\
    |^0*[01]m$";
/// How many jobs a page has, and may have.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// Which jobs a client wants to see.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) status: Option<JobStatus>,
    pub(super) limit: usize,
    pub(super) after: Option<Cursor>,
}

/// How long to wait for a job's end.
pub(crate) fn wait(uri: &Uri) -> Result<Option<Duration>, Refusal> {
    let [wait] = named(uri, ["wait"])?;
    let Some(text) = wait else { return Ok(None) };
    let expected = "a time of at most 60s, such as `30s`, `500ms` or `1m`";
    match time(&text) {
        Some(time) if time <= LONGEST_WAIT => Ok(Some(time)),
        _ => Err(wrong("wait", expected)),
    }
}

pub(super) fn wanted(uri: &Uri) -> Result<Wanted, Refusal> {
    let [status, limit, after] = named(uri, ["status", "limit", "after"])?;
    let status = status.map(|word| {
        JobStatus::of(&word).ok_or_else(|| wrong("status", "one of `queued`, `running`, `done`, `failed`, `cancelled`"))
    });
    let limit = limit.map(|text| {
        let number = text.parse().ok().filter(|number| (1..=LARGEST_PAGE).contains(number));
        number.ok_or_else(|| wrong("limit", "a number from 1 to 1000"))
    });
    let after = after.map(|text| Cursor::read(&text).ok_or_else(|| wrong("after", "what a page has as `next`")));
    Ok(Wanted { status: status.transpose()?, limit: limit.transpose()?.unwrap_or(PAGE), after: after.transpose()? })
}

/// For an address that takes nothing.
pub(super) fn nothing(uri: &Uri) -> Result<(), Refusal> {
    named(uri, []).map(|[]| ())
}

fn wrong(name: &'static str, expected: &str) -> Refusal {
    let message = format!("`{name}` in the address is malformed");
    Refusal { expected: Some(expected.to_owned()), ..Refusal::new(RefusalCode::Malformed, message).at(name) }
}

fn named<const N: usize>(uri: &Uri, names: [&str; N]) -> Result<[Option<String>; N], Refusal> {
    let malformed = |message: String| Refusal::new(RefusalCode::Malformed, message);
    let Query(said) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| malformed("what stands behind the `?` of the address cannot be read".to_owned()))?;
    let mut values = [const { None }; N];
    for (name, value) in said {
        let Some(at) = names.iter().position(|known| *known == name) else {
            let known = if names.is_empty() { "nothing".to_owned() } else { format!("`{}`", names.join("`, `")) };
            // Its own name is the client's, and is bounded by what a head may hold.
            let refusal = malformed(format!("the address has {name:?} behind its `?`, which is not known"));
            return Err(Refusal { expected: Some(known), ..refusal.at(name) });
        };
        if values[at].replace(value).is_some() {
            return Err(malformed(format!("`{name}` stands in the address twice")).at(name));
        }
    }
    Ok(values)
}

/// A number of seconds, or of what stands behind it. Parts of seconds alone are written with a point.
fn time(text: &str) -> Option<Duration> {
    let (number, milliseconds, has_parts) = match text {
        text if text.ends_with("ms") => (&text[..text.len() - 2], 1.0, false),
        text if text.ends_with('s') => (&text[..text.len() - 1], 1e3, true),
        text if text.ends_with('m') => (&text[..text.len() - 1], 6e4, false),
        text => (text, 1e3, true),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = match number.split_once('.') {
        None => is_digits(number),
        Some((whole, parts)) => has_parts && is_digits(whole) && is_digits(parts) && parts.len() <= 9,
    };
    let number: f64 = number.parse().ok().filter(|_| is_plain)?;
    Duration::try_from_secs_f64(number * milliseconds / 1e3).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(query: &str) -> Uri {
        format!("/v1/jobs?{query}").parse().unwrap()
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, ms) in [
            ("30s", 30_000),
            ("500ms", 500),
            ("60000ms", 60_000),
            ("1m", 60_000),
            ("0m", 0),
            ("2", 2_000),
            ("0.5", 500),
            ("060.000s", 60_000),
            ("0", 0),
        ] {
            assert_eq!(wait(&uri(&format!("wait={text}"))), Ok(Some(Duration::from_millis(ms))), "{text}");
        }
        assert_eq!(wait(&"/v1/jobs".parse().unwrap()), Ok(None));
        for text in [
            "",
            "s",
            "-1",
            "61s",
            "1e3",
            "inf",
            "NaN",
            "2m",
            "99999999999999999999",
            "1h",
            ".",
            ".5",
            "5.",
            "1.5ms",
            "0.5m",
            "60001ms",
            "60.000000001",
            "1.2.3",
        ] {
            let refusal = wait(&uri(&format!("wait={text}"))).unwrap_err();
            assert_eq!(refusal.field.as_deref(), Some("wait"), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_or_stands_twice_is_refused() {
        let all = wanted(&uri("status=done&limit=7&after=AQAAAAAAAAAB")).unwrap();
        assert_eq!(all, Wanted { status: Some(JobStatus::Done), limit: 7, after: Some(Cursor(1)) });
        for (query, field) in [
            ("status=ok", "status"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=-1", "limit"),
            ("after=x", "after"),
            ("limit=1&limit=1", "limit"),
            ("statuss=done", "statuss"),
            ("wait=1", "wait"),
        ] {
            assert_eq!(wanted(&uri(query)).unwrap_err().field.as_deref(), Some(field), "{query}");
        }
        assert!(nothing(&uri("a=b")).is_err());
        assert!(nothing(&uri("")).is_ok());
    }
}
