//! Takes an image in and says what each part took: `take STORE NAME SOURCE`, where SOURCE is `oci:DIR`,
//! `oci-archive:FILE`, `docker-archive:FILE` or a reference. With `--disk` it makes the filesystem image as well.

#![expect(clippy::print_stdout, reason = "it is there to be read")]

use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use firebox_image::{
    Credentials, DockerArchive, Mirrors, OciLayout, Patience, Platform, Progress, Registry, Request, Source, Store,
    take_in,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--disk").collect();
    let [store, name, from] = words.as_slice() else { return Err("usage: take STORE NAME SOURCE [--disk]".into()) };
    let store = Store::open(Path::new(store), None)?;
    let begun = Instant::now();
    let source: Box<dyn Source> = match from.split_once(':') {
        Some(("oci", path)) => Box::new(OciLayout::directory(path.as_ref(), None)?),
        Some(("oci-archive", path)) => Box::new(OciLayout::archive(path.as_ref(), None)?),
        Some(("docker-archive", path)) => Box::new(DockerArchive::open(path.as_ref(), None)?),
        _ => {
            let credentials = Credentials::find(|name| std::env::var_os(name))?;
            Box::new(Registry::new(from.parse()?, &Mirrors::default(), &credentials, Patience::default()))
        }
    };
    let platform = Platform::of_this_host();
    let request = Request { name: name.parse()?, from: from.clone(), platform, size: 16 << 30, parallel: 4 };
    let last = Mutex::new(None);
    let record = take_in(&store, &*source, &request, &|progress| {
        let stage = std::mem::discriminant(&progress);
        if last.lock().is_ok_and(|mut last| last.replace(stage) != Some(stage)) {
            let shown = if let Progress::Transferred { layer, .. } = progress {
                format!("Transferring {layer}")
            } else {
                format!("{progress:?}")
            };
            println!("{:7} ms  {shown}", begun.elapsed().as_millis());
        }
    })?;
    println!("{:7} ms  {} entries, {} MiB", begun.elapsed().as_millis(), record.entries, record.bytes >> 20);
    if std::env::args().any(|word| word == "--disk") {
        let disk = store.filesystem_image(&request.name)?;
        println!("{:7} ms  {disk:?}", begun.elapsed().as_millis());
    }
    Ok(())
}
