//! Rust source with everything that is not code blanked out.
//!
//! A scanner, not a parser: it knows comments, strings and character literals, which is what a rule about words
//! needs. Newlines stay, so line numbers hold.

/// `source` with each comment, string and character literal replaced by spaces.
pub(super) fn code_only(source: &str) -> String {
    let text: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < text.len() {
        let end = end_of_non_code(&text, at);
        if end == at {
            code.push(text[at]);
            at += 1;
        } else {
            code.extend(text[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Where the comment or literal that starts at `at` ends; `at` itself when none starts there.
fn end_of_non_code(text: &[char], at: usize) -> usize {
    match (text[at], text.get(at + 1)) {
        ('/', Some('/')) => (at..text.len()).find(|&i| text[i] == '\n').unwrap_or(text.len()),
        ('/', Some('*')) => end_of_block_comment(text, at),
        ('"', _) => end_of_quoted(text, at, '"'),
        ('\'', Some('\\')) => end_of_quoted(text, at, '\''),
        // A lifetime has no closing quote after its first character.
        ('\'', Some(_)) if text.get(at + 2) == Some(&'\'') => at + 3,
        ('r', _) if !at.checked_sub(1).is_some_and(|before| is_inside_word(text, before)) => end_of_raw(text, at),
        _ => at,
    }
}

/// Whether the character continues a word that is not one of the prefixes of a raw string (`br`, `cr`).
fn is_inside_word(text: &[char], at: usize) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let before = at.checked_sub(1).map(|before| text[before]);
    match text[at] {
        'b' | 'c' => before.is_some_and(is_word),
        c => is_word(c),
    }
}

fn end_of_block_comment(text: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            ('*', Some('/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn end_of_quoted(text: &[char], start: usize, quote: char) -> usize {
    let mut at = start + 1;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// `r` may also begin a raw identifier or a plain word: then nothing is blanked.
fn end_of_raw(text: &[char], start: usize) -> usize {
    let hashes = text[start + 1..].iter().take_while(|&&c| c == '#').count();
    let open = start + 1 + hashes;
    if text.get(open) != Some(&'"') {
        return start;
    }
    (open + 1..text.len())
        .find(|&i| text[i] == '"' && text[i + 1..].iter().take_while(|&&c| c == '#').count() >= hashes)
        .map_or(text.len(), |close| close + 1 + hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_vanish_and_code_stays() {
        for (source, kept) in [
            ("a // word\nb", vec!["a", "b"]),
            ("a /* word /* word */ word */ b", vec!["a", "b"]),
            (r#"a "word \" word" b"#, vec!["a", "b"]),
            (r##"a r#"word " word"# b"##, vec!["a", "b"]),
            (r##"a br#"word"# c"##, vec!["a", "b", "c"]),
            (r#"a '"' b '\'' c "word""#, vec!["a", "b", "c"]),
            ("fn f<'a>(x: &'a str) 'x: loop", vec!["fn", "f<'a>(x:", "&'a", "str)", "'x:", "loop"]),
            ("r#type for_r \"word\"", vec!["r#type", "for_r"]),
        ] {
            assert_eq!(code_only(source).split_whitespace().collect::<Vec<_>>(), kept, "{source}");
        }
    }

    #[test]
    fn lines_keep_their_numbers() {
        let code = code_only("/* one\ntwo */\n\"three\nfour\"\nfive");
        assert_eq!(code.lines().nth(4), Some("five"));
    }

    #[test]
    fn what_is_never_closed_ends_with_the_file() {
        for source in ["/* a", "\"a", "r#\"a", "'\\"] {
            assert_eq!(code_only(source).trim(), "", "{source}");
        }
    }
}
