//! `firebox rootfs`: container images as root filesystems.

mod disk;
mod from_docker;
mod keeper;
mod listed;
mod progress;
mod remote;
mod told;

use std::process::ExitCode;

use firebox_image::{Collected, Damage, ImageName, Store, StoreError, Verified};
use firebox_job::ByteSize;
use serde::Serialize;

use crate::args::{ListArgs, RootfsArgs, RootfsCommand};
use crate::failure::Failure;
use crate::outlet;
use crate::shelf::Shelf;
pub(crate) use disk::{disk, making_it};
pub(crate) use listed::size;
use listed::{ListedImage, in_lines, in_table};
pub(crate) use told::{is_full_disk, printable, printable_error, told_of_bucket, told_of_store};

/// Takes images in, shows them, and takes them away.
pub(crate) fn rootfs(args: RootfsArgs) -> Result<ExitCode, Failure> {
    let RootfsArgs { home, quota, json, command } = args;
    // What is elsewhere is nothing that this host needs a store for.
    if let RootfsCommand::List(ListArgs { remote: true, bucket: Some(bucket), endpoint }) = command {
        return remote::list(bucket, endpoint, json).map(|()| ExitCode::SUCCESS);
    }
    let store = Shelf::Images.open(home, |path| Store::open(path, quota.map(ByteSize::as_u64)))?;
    match command {
        RootfsCommand::FromDocker(args) => from_docker::from_docker(&store, *args, json)?,
        RootfsCommand::Upload(args) => remote::upload(&store, *args, json)?,
        RootfsCommand::Download(args) => remote::download(&store, *args, json)?,
        RootfsCommand::List(_) => list(&store, json)?,
        RootfsCommand::Inspect { name } => inspect(&store, &name, json)?,
        RootfsCommand::Remove { names } => remove(&store, &names, json)?,
        RootfsCommand::Gc => collect(&store, json)?,
        RootfsCommand::Verify { repair } => return verify(&store, repair, json),
    }
    Ok(ExitCode::SUCCESS)
}

fn list(store: &Store, json: bool) -> Result<(), Failure> {
    let mut images = Vec::new();
    for name in store.names().map_err(told_of_store)? {
        match store.record(&name) {
            Ok(Some(record)) => images.push(ListedImage::of(&name, &record)),
            // Removed a moment ago.
            Ok(None) => {}
            // The others are there all the same.
            Err(error @ StoreError::Damaged(_)) => outlet::remark(&format!("firebox: {error}\n")),
            Err(error) => return Err(told_of_store(error)),
        }
    }
    if json {
        return outlet::say_json(&images);
    }
    if images.is_empty() {
        outlet::remark("firebox: there are no images; `firebox rootfs from-docker` takes one in\n");
        return Ok(());
    }
    outlet::say(&in_table(&images))
}

fn inspect(store: &Store, name: &ImageName, json: bool) -> Result<(), Failure> {
    let Some(record) = store.record(name).map_err(told_of_store)? else { return Err(unknown(Some(store), name)) };
    let image = ListedImage::of(name, &record);
    if json { outlet::say_json(&image) } else { outlet::say(&in_lines(&image)) }
}

/// Names that were taken away, and those of them that somebody runs on.
#[derive(Serialize)]
struct Removed {
    removed: Vec<String>,
    in_use: Vec<String>,
}

/// All of them, or none where one is unknown.
fn remove(store: &Store, names: &[ImageName], json: bool) -> Result<(), Failure> {
    Shelf::Images.has(names, &store.names().map_err(told_of_store)?)?;
    let mut in_use = Vec::new();
    for name in names {
        // What is written down about an image may be what is wrong with it.
        if store.is_held(name).unwrap_or(false) {
            in_use.push(name.to_string());
        }
        // Whoever else removes it at the same time wants the same.
        store.remove_name(name).map_err(told_of_store)?;
    }
    if json {
        return outlet::say_json(&Removed { removed: names.iter().map(ImageName::to_string).collect(), in_use });
    }
    outlet::say(&names.iter().map(|name| format!("removed {name}\n")).collect::<String>())?;
    if !in_use.is_empty() {
        let in_use = in_use.join(", ");
        outlet::remark(&format!("firebox: jobs run on {in_use}: they go on, and what they run on stays until then\n"));
    }
    outlet::remark("firebox: `firebox rootfs gc` frees what no other image needs\n");
    Ok(())
}

/// That there is no such image, and which are.
pub(crate) fn unknown(store: Option<&Store>, name: &ImageName) -> Failure {
    Shelf::Images.lacks(name, &store.and_then(|store| store.names().ok()).unwrap_or_default())
}

/// What a collection did.
#[derive(Serialize)]
struct ListedCollection {
    removed: u64,
    freed_bytes: u64,
    in_use: u64,
}

fn collect(store: &Store, json: bool) -> Result<(), Failure> {
    let Collected { removed, freed, in_use } = store.collect().map_err(told_of_store)?;
    if json {
        return outlet::say_json(&ListedCollection { removed, freed_bytes: freed, in_use });
    }
    let things = if removed == 1 { "1 thing was" } else { &format!("{removed} things were") };
    outlet::say(&format!("{things} removed, {} freed\n", size(freed)))?;
    if in_use != 0 {
        outlet::remark(&format!("firebox: {in_use} more are no image's, but in use; they can be removed later\n"));
    }
    Ok(())
}

/// What a verification found.
#[derive(Serialize)]
struct ListedVerification {
    checked: u64,
    damages: Vec<ListedDamage>,
    unread: Vec<ListedDamage>,
    in_use: u64,
}

#[derive(Serialize)]
struct ListedDamage {
    path: String,
    what: String,
}

fn verify(store: &Store, repair: bool, json: bool) -> Result<ExitCode, Failure> {
    let verified = if repair { store.repair() } else { store.verify() };
    let Verified { checked, damages, unread, in_use } = verified.map_err(told_of_store)?;
    let listed = |damages: Vec<Damage>| -> Vec<ListedDamage> {
        let listed = |damage: Damage| ListedDamage { path: damage.path.display().to_string(), what: damage.what };
        damages.into_iter().map(listed).collect()
    };
    let (damages, unread) = (listed(damages), listed(unread));
    let is_sound = damages.is_empty() && unread.is_empty();
    let (found, unknown) = (damages.len(), unread.len());
    if json {
        outlet::say_json(&ListedVerification { checked, damages, unread, in_use })?;
    } else {
        let line = |damage: &ListedDamage| format!("{}: {}\n", printable(&damage.path), printable(&damage.what));
        outlet::say(&damages.iter().chain(&unread).map(line).collect::<String>())?;
        match (found == 0, repair) {
            (true, _) if unknown != 0 => {}
            (true, _) => outlet::say(&format!("{checked} things were looked at: all are what they should be\n"))?,
            (false, true) => outlet::remark(&format!(
                "firebox: {found} damages; what is damaged was removed: `firebox rootfs from-docker` brings it back\n"
            )),
            (false, false) => outlet::remark(&format!(
                "firebox: {found} damages; `firebox rootfs verify --repair` removes what is damaged\n"
            )),
        }
        if unknown != 0 {
            let things = if unknown == 1 { "1 thing" } else { &format!("{unknown} things") };
            outlet::remark(&format!(
                "firebox: {things} could not be read, for reasons that lie elsewhere: see to these, and verify again\n"
            ));
        }
        if in_use != 0 {
            let things = if in_use == 1 { "1 thing" } else { &format!("{in_use} things") };
            outlet::remark(&format!(
                "firebox: {things} of that had to stay, since jobs run on them: repair again when they have ended\n"
            ));
        }
    }
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
