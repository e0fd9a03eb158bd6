//! Does one thing to a store and says nothing, but why it could not: `one_step STORE THING`, where THING is `take:DIRECTORY`, an image of
//! an OCI layout; `pull:REFERENCE`, one of a registry; `fetch:BUCKET`, one of a bucket; `send:BUCKET`, what was taken in, to one; `disk:`, its
//! filesystem image; or `remove:`, its name alone. It is always called `x`. `collect:` and `repair:` are about the whole store.
//!
//! For tests that have its calls fail. Whatever it says is said twice, should a call with which it says it be the one.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use firebox_image::{
    Bucket, Credentials, ImageName, Mirrors, OciLayout, Patience, Platform, Registry, Request, Settings, Source, Store,
    take_in,
};

fn main() -> ExitCode {
    let Err(error) = step() else { return ExitCode::SUCCESS };
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    let _ = (0..2).find(|_| std::io::stderr().write_all(text.as_bytes()).is_ok());
    ExitCode::FAILURE
}

fn step() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [store, thing] = words.as_slice() else { return Err("usage: one_step STORE THING".into()) };
    let (what, from) = thing.split_once(':').unwrap_or((thing, ""));
    let store = Store::open(Path::new(store), None)?;
    let name: ImageName = "x".parse()?;
    match what {
        "take" => take(&store, name, &OciLayout::directory(from.as_ref(), None)?)?,
        "pull" => {
            let (mirrors, nobody) = (Mirrors::default(), Credentials::default());
            take(&store, name, &Registry::new(from.parse()?, &mirrors, &nobody, Patience::default()))?;
        }
        // And here several at once.
        "fetch" => drop(bucket(from)?.download(&store, &name, None, &|_| ())?),
        "send" => drop(bucket(from)?.upload(&store, &name, false, &|_| ())?.ok_or("there is no image")?),
        "disk" => drop(store.filesystem_image(&name)?.ok_or("there is no image")?),
        "remove" => drop(store.remove_name(&name)?),
        "collect" => drop(store.collect()?),
        "repair" => {
            if let Some(unread) = store.repair()?.unread.first() {
                return Err(format!("{}: {}", unread.path.display(), unread.what).into());
            }
        }
        _ => return Err(format!("THING is none: `{thing}`").into()),
    }
    Ok(())
}

/// One layer after the other, so that one thread makes all calls of importance.
fn take(store: &Store, name: ImageName, source: &dyn Source) -> Result<(), Box<dyn Error>> {
    let platform = Platform::of_this_host();
    let request = Request { name, from: "test".to_owned(), platform, size: 1 << 30, parallel: 1 };
    take_in(store, source, &request, &|_| ())?;
    Ok(())
}

fn bucket(place: &str) -> Result<Bucket, Box<dyn Error>> {
    let settings = Settings { variables: Vec::new(), endpoint: None, patience: Patience::default(), parallel: 2 };
    Ok(Bucket::open(&place.parse()?, &settings)?)
}
