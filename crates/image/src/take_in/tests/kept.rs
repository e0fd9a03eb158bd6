//! What is in the store when images are: shared, held, damaged, collected.

use std::time::{Duration, Instant};

use super::*;
use crate::{Collected, Damage};

#[test]
fn collecting_removes_what_no_name_stands_for_and_nothing_else() {
    let bench = Bench::new();
    bench.take_in("one", &Shelf::of(&[base(), Maker::default().file("a", b"1").end()])).unwrap();
    bench.take_in("two", &Shelf::of(&[base(), Maker::default().file("b", b"2").end()])).unwrap();
    assert_eq!(bench.store.collect().unwrap(), Collected::default());
    assert!(bench.store.remove_name(&"one".parse().unwrap()).unwrap());
    // Manifest, configuration, blob and layer of its own, and its tree.
    assert_eq!(bench.store.collect().unwrap().removed, 5);
    bench.assert_sound();

    let held = bench.root("two");
    bench.store.remove_name(&"two".parse().unwrap()).unwrap();
    assert_eq!(bench.store.collect().unwrap().in_use, 1);
    assert_eq!(std::fs::read_to_string(held.tree().join("b")).unwrap(), "2");
    drop(held);
    bench.assert_nothing_is_left_after_collecting();
}

#[test]
fn what_somebody_runs_on_is_left_alone_by_all_who_remove() {
    let bench = Bench::new();
    let name = "x".parse().unwrap();
    bench.take_in("x", &Shelf::of(&[base()])).unwrap();
    assert!(!bench.store.is_held(&name).unwrap());
    let (held, disk) = (bench.root("x"), bench.store.filesystem_image(&name).unwrap().unwrap());
    assert!(bench.store.is_held(&name).unwrap());
    for damaged in [held.tree().join("etc/stranger"), disk.path().to_owned()] {
        std::fs::write(damaged, "other").unwrap();
    }
    let verified = bench.store.repair().unwrap();
    assert_eq!((verified.damages.len(), verified.in_use), (2, 2), "{verified:?}");
    assert_eq!(std::fs::read_to_string(held.tree().join("bin/tool")).unwrap(), "tool 1");
    assert!(disk.path().exists());

    bench.store.remove_name(&name).unwrap();
    assert_eq!(bench.store.collect().unwrap().in_use, 2);
    assert_eq!(std::fs::read_to_string(held.tree().join("bin/tool")).unwrap(), "tool 1");
    drop(held);
    assert_eq!(bench.store.collect().unwrap().in_use, 1);
    assert!(disk.path().exists());
    drop(disk);
    bench.assert_nothing_is_left_after_collecting();
}

#[test]
fn what_was_damaged_in_use_is_removed_when_it_is_not() {
    let bench = Bench::new();
    bench.take_in("x", &Shelf::of(&[base()])).unwrap();
    let held = bench.root("x");
    std::fs::write(held.tree().join("etc/stranger"), "other").unwrap();
    assert_eq!(bench.store.repair().unwrap().in_use, 1);
    // Others are told that it is damaged as long as it is.
    assert_ne!(bench.store.verify().unwrap().damages, []);
    drop(held);
    assert_eq!(bench.store.repair().unwrap().in_use, 0);
    let gone = bench.store.hold(&"x".parse().unwrap());
    assert!(matches!(gone, Err(StoreError::Damaged(_))), "{gone:?}");
    bench.take_in("x", &Shelf::of(&[base()])).unwrap();
    bench.assert_sound();
}

#[test]
fn a_hold_is_on_something_whole_or_it_is_none() {
    let bench = Bench::new();
    let shelf = Shelf::of(&[base()]);
    let name = "x".parse().unwrap();
    let (over, whole, begun) = (AtomicBool::new(false), AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // On a busy host it may take many times until somebody has looked at the right moment.
            let mut rounds = 0;
            while rounds < 100 || whole.load(Ordering::Relaxed) == 0 && begun.elapsed() < Duration::from_secs(60) {
                rounds += 1;
                bench.take_in("x", &shelf).unwrap();
                bench.store.remove_name(&name).unwrap();
                bench.store.collect().unwrap();
            }
            over.store(true, Ordering::Relaxed);
        });
        while !over.load(Ordering::Relaxed) {
            // It may be gone, and come back, while we look; it is never half there.
            match bench.store.hold(&name) {
                Ok(Some(held)) => {
                    for (path, content) in [("bin/tool", "tool 1"), ("etc/passwd", "root"), ("etc/old", "old")] {
                        assert_eq!(std::fs::read_to_string(held.tree().join(path)).unwrap(), content);
                    }
                    whole.fetch_add(1, Ordering::Relaxed);
                }
                Ok(None) | Err(StoreError::Damaged(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    assert!(0 < whole.into_inner(), "nobody ever held it");
    bench.assert_nothing_is_left_after_collecting();
}

#[test]
fn damage_is_found_and_repaired_by_taking_the_image_in_again() {
    let shelf = Shelf::of(&[base()]);
    type Damaging = fn(&Path);
    let damages: [(&str, Damaging); 4] = [
        ("layers", |layer| {
            std::fs::set_permissions(layer.join("files/0"), PermissionsExt::from_mode(0o644)).unwrap();
            std::fs::write(layer.join("files/0"), "other!").unwrap();
        }),
        ("layers", |layer| std::fs::write(layer.join("index"), "other").unwrap()),
        ("blobs", |blob| std::fs::write(blob, "other").unwrap()),
        ("trees", |tree| std::fs::write(tree.join("root/etc/stranger"), "other").unwrap()),
    ];
    for (directory, damage) in damages {
        let bench = Bench::new();
        bench.take_in("x", &shelf).unwrap();
        let entries = std::fs::read_dir(bench.store.path().join(directory)).unwrap();
        damage(&entries.map(|entry| entry.unwrap().path()).max().unwrap());
        assert_ne!(bench.store.verify().unwrap().damages, [], "{directory}");
        assert_ne!(bench.store.repair().unwrap().damages, [], "{directory}");
        bench.take_in("x", &shelf).unwrap();
        bench.assert_sound();
        assert_eq!(std::fs::read_to_string(bench.root("x").tree().join("bin/tool")).unwrap(), "tool 1");
    }
}

#[test]
fn a_repair_leaves_what_jobs_run_on_where_only_what_it_came_as_or_is_made_into_is_damaged() {
    let name: ImageName = "x".parse().unwrap();
    for directory in ["blobs", "disks"] {
        let bench = Bench::new();
        bench.take_in("x", &Shelf::of(&[base()])).unwrap();
        let disk = bench.store.filesystem_image(&name).unwrap().unwrap().path().to_owned();
        let damaged = match directory {
            "disks" => vec![disk],
            _ => {
                std::fs::read_dir(bench.store.path().join(directory)).unwrap().map(|one| one.unwrap().path()).collect()
            }
        };
        damaged.iter().for_each(|path| {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
            std::fs::write(path, "other").unwrap();
        });
        assert_eq!(bench.store.repair().unwrap().damages.len(), damaged.len(), "{directory}");
        assert!(damaged.iter().all(|path| !path.exists()), "{directory}");
        assert_eq!(std::fs::read_to_string(bench.root("x").tree().join("bin/tool")).unwrap(), "tool 1");
        // Also by one who finds nothing but that something is missing.
        bench.store.repair().unwrap();
        assert_eq!(std::fs::read_to_string(bench.root("x").tree().join("bin/tool")).unwrap(), "tool 1");
        bench.take_in("x", &Shelf::of(&[base()])).unwrap();
        bench.store.filesystem_image(&name).unwrap().unwrap();
        bench.assert_sound();
    }
}

#[test]
fn what_cannot_be_read_is_said_and_all_else_is_looked_at() {
    // Whoever reads it is told of a fault of the device.
    let broken = |path: &Path| {
        std::fs::remove_file(path).unwrap();
        std::os::unix::fs::symlink("/proc/self/mem", path).unwrap();
    };
    let bench = Bench::new();
    let record = bench.take_in("x", &Shelf::of(&[base()])).unwrap();
    bench.take_in("y", &Shelf::of(&[Maker::default().file("a", b"x").end()])).unwrap();
    let name = bench.store.path().join("names/y");
    for blob in [record.manifest, record.config] {
        broken(&bench.store.place(Kind::Blob, &blob));
    }
    let layer = bench.store.place(Kind::Layer, &record.layers[0].archive).join("files/0");
    std::fs::remove_file(&layer).unwrap();
    std::os::unix::fs::symlink("nowhere", &layer).unwrap();
    broken(&name);
    let verified = bench.store.verify().unwrap();
    let said = |path: &Path| {
        let damage = verified.damages.iter().find(|damage| damage.path == path);
        damage.unwrap_or_else(|| panic!("{path:?}: {verified:?}")).what.clone()
    };
    for blob in [record.manifest, record.config] {
        assert_eq!(said(&bench.store.place(Kind::Blob, &blob)), "it cannot be read: Input/output error (os error 5)");
    }
    assert!(said(&layer).contains("it cannot be read: Too many levels of symbolic links"), "{verified:?}");
    assert!(said(&name).contains("Input/output error"), "{verified:?}");
    assert_eq!(said(&bench.store.place(Kind::Tree, &record.tree)), "its layers are damaged or missing");

    bench.store.repair().unwrap();
    bench.take_in("x", &Shelf::of(&[base()])).unwrap();
    bench.assert_sound();
    assert_eq!(bench.store.names().unwrap().len(), 1);
    bench.store.collect().unwrap();
}

#[test]
fn a_part_of_a_tree_that_cannot_be_read_hides_no_other() {
    std::thread::spawn(|| {
        // Root reads what it likes. A thread can be somebody else, for as long as it lives and alone.
        if rustix::process::geteuid().is_root() {
            let nobody = rustix::thread::Uid::from_raw(65534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        }
        look_at_a_tree_of_which_a_part_cannot_be_read();
    })
    .join()
    .unwrap();
}

fn look_at_a_tree_of_which_a_part_cannot_be_read() {
    let bench = Bench::new();
    bench.take_in("x", &Shelf::of(&[base()])).unwrap();
    let tree = bench.root("x").tree().to_owned();
    let close = |mode| std::fs::set_permissions(tree.join("bin"), PermissionsExt::from_mode(mode)).unwrap();
    std::fs::remove_file(tree.join("etc/old")).unwrap();
    close(0);
    let verified = bench.store.verify().unwrap();
    let what = |found: &[Damage]| found.iter().map(|damage| damage.what.clone()).collect::<Vec<_>>();
    assert_eq!(what(&verified.damages), ["`/etc/old` is missing"]);
    assert_eq!(what(&verified.unread), ["`/bin` cannot be read: Permission denied (os error 13)"]);
    close(0o755);
}

#[test]
fn naming_the_layer_of_another_image_gives_nobody_what_is_in_it() {
    let private = Maker::default().file("secret", b"of another image").end();
    let own = Maker::default().file("own", b"x").end();
    let bench = Bench::new();
    bench.take_in("private", &Shelf::packed(std::slice::from_ref(&private), gzip)).unwrap();
    for _ in 0..2 {
        // The second time its blob is here, too.
        let taken = bench.take_in("thief", &naming_another(&own, Digest::of(&private)));
        assert!(matches!(taken, Err(TakeInError::Unpack { source: UnpackError::Digest { .. }, .. })), "{taken:?}");
        assert!(bench.store.record(&"thief".parse().unwrap()).unwrap().is_none());
    }
    bench.assert_sound();
}

#[test]
fn who_brings_a_layer_in_another_form_shares_what_it_unpacks_to() {
    let bench = Bench::new();
    bench.take_in("gzip", &Shelf::packed(&[base()], gzip)).unwrap();
    for _ in 0..2 {
        bench.take_in("plain", &Shelf::of(&[base()])).unwrap();
    }
    let layers = std::fs::read_dir(bench.store.path().join("layers")).unwrap().count();
    assert_eq!(layers, 1);
    bench.assert_sound();
    for name in ["gzip", "plain"] {
        bench.store.remove_name(&name.parse().unwrap()).unwrap();
    }
    bench.assert_nothing_is_left_after_collecting();
}
