//! Names close to one that does not exist, for messages that help.

/// More than this is not a misspelt name, and comparing it would be work done for whoever sent it.
const LONGEST: usize = 48;

/// How many names a message can offer before nobody reads them.
const OFFERED: usize = 3;

/// The names nearest to what was asked for, best first; none when nothing is close. Names are in small letters.
pub fn nearest<'a>(asked: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    if asked.len() > LONGEST {
        return Vec::new();
    }
    let asked = asked.to_lowercase();
    let mut close: Vec<(usize, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let distance = distance(&asked, name);
            let most = (asked.len().max(name.len()) / 3).max(1);
            let begins = asked.len().min(name.len()) >= 2 && (name.starts_with(&asked) || asked.starts_with(name));
            (distance <= most || begins).then_some((distance, name))
        })
        .collect();
    close.sort_unstable();
    close.into_iter().take(OFFERED).map(|(_, name)| name.to_owned()).collect()
}

/// What a message adds about the names that were found, best first; nothing when there are none.
pub(crate) fn did_you_mean(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        names => format!(", did you mean `{}`?", names.join("` or `")),
    }
}

/// How many insertions, removals, replacements and swaps of neighbours lead from one text to the other.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_find_what_was_meant() {
        let names = ["bash", "c", "cpp", "javascript", "js", "python", "rust"];
        for (asked, offered) in [
            ("rsut", vec!["rust"]),
            ("Pyton", vec!["python"]),
            ("python2", vec!["python"]),
            ("java", vec!["javascript"]),
            ("bsh", vec!["bash"]),
            ("haskell", vec![]),
        ] {
            assert_eq!(nearest(asked, names), offered, "{asked}");
        }
        assert!(nearest(&"rust".repeat(100), names).is_empty());
    }

    #[test]
    fn distances_count_edits() {
        for (from, to, edits) in [("", "", 0), ("", "ab", 2), ("ab", "ba", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(from, to), edits, "{from} {to}");
        }
    }
}
