//! Lists and maps of a request, bounded while they are read: what a million entries would take in memory is many times
//! what they take as text.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use crate::MOST_IN_A_BATCH;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::object::Object;

/// The most entries of any list or map of a request: as many files as a cell's disk may hold, and more arguments and
/// variables than an agent takes.
pub(crate) const MOST_ENTRIES: usize = 10_000;

/// A list of at most [`MOST_ENTRIES`].
pub(crate) fn list<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_seq(List { most: MOST_ENTRIES, of: PhantomData })
}

/// A list of as many jobs as may come in one request, and of one at least.
pub(crate) fn batch<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let jobs = deserializer.deserialize_seq(List { most: MOST_IN_A_BATCH, of: PhantomData })?;
    if jobs.is_empty() { Err(D::Error::custom("an empty list; give it at least one job")) } else { Ok(jobs) }
}

/// A list of at most [`MOST_ENTRIES`] objects, where leaving it out and an empty list are not the same.
pub(crate) fn some_objects<'de, T, D>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_option(SomeObjects(PhantomData))
}

/// A map of at most [`MOST_ENTRIES`], each name once.
pub(crate) fn map<'de, V, D>(deserializer: D) -> Result<BTreeMap<String, V>, D::Error>
where
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(Map(PhantomData))
}

struct List<T> {
    most: usize,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            if list.len() == self.most {
                return Err(too_many(self.most));
            }
            list.push(entry);
        }
        Ok(list)
    }
}

struct SomeObjects<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SomeObjects<T> {
    type Value = Option<Vec<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_none<E: Error>(self) -> Result<Option<Vec<T>>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<Vec<T>>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
        let objects: Vec<Object<T>> = list(deserializer)?;
        Ok(Some(objects.into_iter().map(|Object(value)| value).collect()))
    }
}

struct Map<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Map<V> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<BTreeMap<String, V>, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((name, value)) = entries.next_entry::<String, V>()? {
            if map.len() == MOST_ENTRIES {
                return Err(too_many(MOST_ENTRIES));
            }
            if map.contains_key(&name) {
                return Err(Error::custom(format_args!("duplicate field `{name}`")));
            }
            map.insert(name, value);
        }
        Ok(map)
    }
}

fn too_many<E: Error>(most: usize) -> E {
    E::custom(format_args!("more than {most} entries"))
}
