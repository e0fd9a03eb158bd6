//! A key as a client has it, and what we have of it.
//!
//! ```text
//! fbx_0m6x3kq9d2ht_7c1nq0v4z8yh2rj5tbm9x3kfwd6ge0sapqvn4c8h
//! '------id------' '----------------secret----------------'
//! ```
//!
//! One word for whatever selects words, in letters that are not mistaken for each other. The id is no secret: it stands in
//! lists and logs. Of the rest nobody but the key's owner has more than a hash.

use std::fmt;
use std::str::FromStr;

use firebox_engine::random_bytes;

const PREFIX: &str = "fbx_";
/// Without `i`, `l`, `o` and `u`, which look like others.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const BITS: u32 = 5;
/// 60 random bits: no two keys meet, and none is given out again.
const ID_LENGTH: usize = 12;
/// 200 random bits: nobody guesses that, however fast the hash.
const SECRET_LENGTH: usize = 40;
const TEXT_LENGTH: usize = PREFIX.len() + ID_LENGTH + 1 + SECRET_LENGTH;
/// So that no hash of ours is one of anybody's for something else.
const CONTEXT: &str = "firebox 2026-11 api key";

/// What a key is called: what it begins with, and no secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(u64);

/// A key with its secret. No form of it but [`Key::reveal`] shows that.
#[derive(Clone)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub struct Key {
    id: KeyId,
    text: [u8; TEXT_LENGTH],
}

/// What we have of a key. Comparing takes as long whatever differs.
#[derive(Clone, PartialEq, Eq)]
pub struct Fingerprint(blake3::Hash);

/// A text that is no key, or no id of one. Nothing of the text is in it, since it may be most of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key begins with `{PREFIX}` and has {TEXT_LENGTH} characters, all of them small letters, digits and `_`")]
pub struct NoKey;

impl Key {
    /// Makes one that nobody has.
    pub fn fresh() -> std::io::Result<Key> {
        let mut random = Vec::new();
        // One byte for each character, of which it takes five bits.
        while random.len() < ID_LENGTH + SECRET_LENGTH {
            random.extend(random_bytes()?);
        }
        let letter = |byte: &u8| ALPHABET[usize::from(byte % 32)];
        let (id, rest) = random.split_at(ID_LENGTH);
        let mut text = PREFIX.as_bytes().to_vec();
        text.extend(id.iter().map(letter));
        text.push(b'_');
        text.extend(rest[..SECRET_LENGTH].iter().map(letter));
        Key::read(&text).map_err(std::io::Error::other)
    }

    /// Reads one as a client sent it.
    pub fn read(text: &[u8]) -> Result<Key, NoKey> {
        let text: [u8; TEXT_LENGTH] = text.try_into().map_err(|_| NoKey)?;
        let (id, secret) = text.split_at(PREFIX.len() + ID_LENGTH);
        let id = KeyId::read(id)?;
        let secret = secret.strip_prefix(b"_").ok_or(NoKey)?;
        match secret.iter().all(|byte| ALPHABET.contains(byte)) {
            true => Ok(Key { id, text }),
            false => Err(NoKey),
        }
    }

    /// What it is called.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The key itself, to be shown to its owner, once.
    pub fn reveal(&self) -> &str {
        // It is made of the alphabet alone.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// What is kept of it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(blake3::Hasher::new_derive_key(CONTEXT).update(&self.text).finalize())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_…", self.id)
    }
}

impl KeyId {
    /// Reads one: the beginning of a key.
    pub fn read(text: &[u8]) -> Result<KeyId, NoKey> {
        let letters = text.strip_prefix(PREFIX.as_bytes()).filter(|letters| letters.len() == ID_LENGTH).ok_or(NoKey)?;
        let digit = |letter: &u8| ALPHABET.iter().position(|known| known == letter).ok_or(NoKey);
        let number = letters.iter().try_fold(0, |number, letter| Ok(number << BITS | digit(letter)? as u64))?;
        Ok(KeyId(number))
    }

    /// Whether a text looks as if it were meant to be a key or the id of one.
    pub fn is_meant_by(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// The same as a number, which is never the largest one.
    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        (0..ID_LENGTH as u32).rev().try_for_each(|place| {
            let letter = ALPHABET[(self.0 >> (place * BITS)) as usize % ALPHABET.len()];
            write!(f, "{}", letter as char)
        })
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for KeyId {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<KeyId, NoKey> {
        KeyId::read(text.as_bytes())
    }
}

impl Fingerprint {
    /// Of no key at all: random, so that nothing has it.
    pub(crate) fn of_nothing() -> std::io::Result<Fingerprint> {
        Ok(Key::fresh()?.fingerprint())
    }
}

/// Not that it could be turned around: it has no business in a log.
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// As it is written down.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Fingerprint {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Fingerprint, NoKey> {
        blake3::Hash::from_hex(text).map(Fingerprint).map_err(|_| NoKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_word_that_reads_back_and_no_two_are_the_same() {
        let (one, other) = (Key::fresh().unwrap(), Key::fresh().unwrap());
        let text = one.reveal();
        assert!(text.len() == TEXT_LENGTH && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{text}");
        assert_eq!(Key::read(text.as_bytes()), Ok(one.clone()));
        assert_ne!(one.id(), other.id());
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert!(text.starts_with(&one.id().to_string()));
        assert_eq!(one.id().to_string().parse(), Ok(one.id()));
        assert!(one.id().number() < u64::MAX);
    }

    #[test]
    fn what_is_no_key_is_refused_without_a_word_of_it() {
        let key = Key::fresh().unwrap();
        let text = key.reveal();
        let with = |at: usize, byte: u8| {
            let mut text = text.as_bytes().to_vec();
            text[at] = byte;
            text
        };
        for wrong in [
            &b""[..],
            b"fbx_",
            &text.as_bytes()[..TEXT_LENGTH - 1],
            &[text.as_bytes(), b"0"].concat(),
            text.to_uppercase().as_bytes(),
            &with(0, b'g'),
            &with(5, b'u'),
            &with(16, b'-'),
            &with(TEXT_LENGTH - 1, b'\n'),
            &with(TEXT_LENGTH - 1, 0xff),
        ] {
            assert_eq!(Key::read(wrong), Err(NoKey));
        }
    }

    #[test]
    fn every_character_of_a_key_counts() {
        let key = Key::fresh().unwrap();
        for at in PREFIX.len()..TEXT_LENGTH {
            let mut text = key.text;
            text[at] = if text[at] == b'x' { b'y' } else { b'x' };
            if let Ok(other) = Key::read(&text) {
                assert_ne!(other.fingerprint(), key.fingerprint(), "character {at}");
            }
        }
    }

    #[test]
    fn neither_the_secret_nor_its_hash_is_shown_by_accident() {
        let key = Key::fresh().unwrap();
        let secret = &key.reveal()[PREFIX.len() + ID_LENGTH + 1..];
        let said = format!("{key:?} {:#?} {:?}", [Some(&key)], key.fingerprint());
        assert!(!said.contains(secret) && !said.contains(&secret[..8]), "{said}");
        assert!(!said.contains(&key.fingerprint().to_string()), "{said}");
    }
}
