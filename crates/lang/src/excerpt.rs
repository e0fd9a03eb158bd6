//! What a client gave, as a message repeats it: enough to recognise it, never a megabyte.

/// The beginning of a text, with a mark when there is more.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 40;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
