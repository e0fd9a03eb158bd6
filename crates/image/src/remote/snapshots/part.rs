//! A part of a snapshot as it travels: compressed, and named by what it is unpacked.
//!
//! The same content has the same name, whichever version compressed it, and however well.

use object_store::ObjectStoreExt;

use crate::digest::Digest;
use crate::remote::bucket::Question;
use crate::remote::error::is_missing;
use crate::remote::snapshots::TravelError;
use crate::remote::{Bucket, BucketError};

/// Fast, and of what a better one would win, memory has little.
const LEVEL: i32 = 3;

/// Compresses a part, with a note of how long it is.
fn pack(content: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(content, LEVEL)
}

/// The part that has this digest and is at most so long. None where these bytes are not that.
fn unpack(packed: &[u8], digest: &Digest, most: u64) -> Option<Vec<u8>> {
    // No more than that is made room for, and more than that is an error.
    let content = zstd::bulk::decompress(packed, usize::try_from(most).ok()?).ok()?;
    (Digest::of(&content) == *digest).then_some(content)
}

/// The longest that a part of this length becomes by being compressed.
fn most_packed(most: u64) -> u64 {
    usize::try_from(most).map_or(u64::MAX, |most| zstd::zstd_safe::compress_bound(most) as u64)
}

impl Bucket {
    /// Sends a part. How long it was on its way.
    pub(super) fn send_part(&self, digest: &Digest, content: &[u8]) -> Result<u64, BucketError> {
        let what = format!("send `{digest}`");
        let packed = pack(content).map_err(|source| BucketError::Ask {
            place: self.place.clone(),
            what: what.clone(),
            source: source.into(),
        })?;
        let (object, length) = (self.place_of_part(digest), packed.len() as u64);
        let put = async {
            let _permit = self.gate.acquire().await;
            self.objects.put(&object, packed.into()).await
        };
        self.handle().block_on(put).map_err(self.wrong(&what))?;
        Ok(length)
    }

    /// Fetches a part that is at most so long unpacked. With how long it was on its way.
    pub(super) fn fetch_part(&self, digest: &Digest, most: u64) -> Result<(Vec<u8>, u64), TravelError> {
        let (object, what, most_packed) = (self.place_of_part(digest), format!("fetch `{digest}`"), most_packed(most));
        let question = Question { objects: self.objects.clone(), object: object.clone() };
        let get = async {
            let _permit = self.gate.acquire().await;
            question.document(most_packed).await
        };
        let (place, digest) = (self.place.clone(), *digest);
        let packed = match self.handle().block_on(get) {
            Ok(packed) => packed,
            Err(error) if is_missing(&error) => return Err(TravelError::Lacks { place, digest }),
            Err(error) => {
                // Whether it is longer than it can be, which is why nobody waited for its end.
                let is_too_long = matches!(self.length(&object, &what), Ok(Some(length)) if most_packed < length);
                let damaged = TravelError::Damaged { place, digest };
                return Err(if is_too_long { damaged } else { self.wrong(&what)(error).into() });
            }
        };
        let content = unpack(&packed, &digest, most).ok_or(TravelError::Damaged { place, digest })?;
        Ok((content, packed.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_unpacked_if_it_is_what_it_is_called_and_no_longer_than_it_may_be() {
        let content: Vec<u8> = (0..100_000u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
        let (digest, length) = (Digest::of(&content), content.len() as u64);
        let packed = pack(&content).unwrap();
        assert!(packed.len() < content.len() / 2, "{}", packed.len());
        assert_eq!(unpack(&packed, &digest, length).as_deref(), Some(&content[..]));
        assert_eq!(unpack(&packed, &digest, length + 1).as_deref(), Some(&content[..]));
        assert_eq!(unpack(&packed, &digest, length - 1), None, "one byte too many");
        assert_eq!(unpack(&packed, &Digest::of(b"other"), length), None);
        for at in [0, 4, packed.len() / 2, packed.len() - 1] {
            assert_eq!(unpack(&packed[..at], &digest, length), None, "cut off at {at}");
            let mut altered = packed.clone();
            altered[at] ^= 1;
            assert_eq!(unpack(&altered, &digest, length), None, "altered at {at}");
        }
        // What becomes much: nobody unpacks it.
        let bomb = pack(&vec![0; 64 << 20]).unwrap();
        assert_eq!(unpack(&bomb, &Digest::of(&vec![0; 64 << 20]), 1 << 20), None);
        assert!(length <= most_packed(length));
    }
}
