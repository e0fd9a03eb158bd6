//! What a client shows as a key, and the file that keys are in. What is read as a key is one, letter by letter; a file is read or refused,
//! and what one says that is read was written by us.
//!
//! The first byte says which: a value of `Authorization`, a key by itself, or the file.
#![no_main]

use firebox_server::keys::{Book, Key, KeyId, credential};
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((which, bytes)) = bytes.split_first() else { return Corpus::Reject };
    match which {
        b'a' => {
            if let Ok(key) = credential(bytes) {
                assert!(bytes.len() > key.reveal().len() && bytes[..6].eq_ignore_ascii_case(b"bearer"));
                assert!(bytes.windows(key.reveal().len()).any(|window| window == key.reveal().as_bytes()));
                check(&key);
            }
        }
        b'k' => {
            if let Ok(key) = Key::read(bytes) {
                assert_eq!(key.reveal().as_bytes(), bytes);
                check(&key);
            }
        }
        b'f' => {
            if let Ok(book) = Book::read(bytes) {
                assert!(book.is_blank() == bytes.is_empty() || !book.entries().is_empty());
                for entry in book.entries() {
                    assert_eq!(book.find(&entry.id.to_string()).map(|found| found.id).ok(), Some(entry.id));
                }
            }
        }
        _ => return Corpus::Reject,
    }
    Corpus::Keep
});

fn check(key: &Key) {
    let (text, id) = (key.reveal(), key.id().to_string());
    assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'), "{id}");
    assert!(text.starts_with(&id), "{id}");
    assert_eq!(id.parse::<KeyId>(), Ok(key.id()));
    assert!(!format!("{key:?}").contains(&text[id.len() + 1..]), "{id}");
}
