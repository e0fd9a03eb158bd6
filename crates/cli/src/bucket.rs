//! Buckets, which images and snapshots travel through: the one that is meant, and what is told of what was sent there.

use std::env;
use std::fmt::Display;

use firebox_image::{Bucket, Patience, Sent, Settings};
use serde::Serialize;

use crate::args::BucketArgs;
use crate::failure::Failure;
use crate::outlet;
use crate::rootfs::{printable, size, told_of_bucket};

/// The one that is meant.
pub(crate) fn open(args: BucketArgs) -> Result<Bucket, Failure> {
    // Exhaustive: a new flag must be decided here.
    let BucketArgs { bucket, endpoint, parallel } = args;
    // A variable that is no text says nothing that could be part of a request.
    let variables =
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let settings = Settings {
        variables: variables.collect(),
        endpoint,
        patience: Patience::default(),
        parallel: usize::from(parallel),
    };
    Bucket::open(&bucket, &settings).map_err(told_of_bucket)
}

/// What was sent.
#[derive(Serialize)]
struct ListedSent {
    name: String,
    bucket: String,
    objects: usize,
    sent: usize,
    sent_bytes: u64,
}

/// Tells that this is in a bucket now.
pub(crate) fn tell_of_sent(name: &dyn Display, bucket: &Bucket, sent: Sent, json: bool) -> Result<(), Failure> {
    let Sent { objects, sent, bytes } = sent;
    let (name, place) = (name.to_string(), printable(bucket.place()));
    if json {
        return outlet::say_json(&ListedSent { name, bucket: place, objects, sent, sent_bytes: bytes });
    }
    let what = match sent {
        0 => "everything of it was there".to_owned(),
        _ if sent == objects => size(bytes),
        _ => format!("{}, the rest was there", size(bytes)),
    };
    outlet::say(&format!("{name} is in {place}: {what}\n"))
}
