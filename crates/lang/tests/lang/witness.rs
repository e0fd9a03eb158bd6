//! A toolchain that is replaced while it is in use is told from the one before.

use std::collections::BTreeMap;
use std::fs;

use firebox_cell::{Mount, View};
use firebox_lang::{Groundwork, Program, Sighting, Toolchain};

use crate::support::Fixture;

/// A compiler in a directory that cells see.
fn toolchain(fixture: &Fixture) -> Toolchain {
    let outside = fixture.path("tools/bin/cc");
    let mount = Mount { outside: fixture.path("tools/bin"), inside: "/opt/cc/bin".into() };
    Toolchain {
        programs: vec![Program {
            name: "cc".to_owned(),
            found: "cc".to_owned(),
            outside,
            inside: "/opt/cc/bin/cc".into(),
        }],
        view: View { mounts: vec![mount], ..View::default() },
        environment: BTreeMap::new(),
        groundwork: Groundwork::NotNeeded,
        first_to_build: None,
        image: None,
    }
}

/// What is seen before and after something is done to the tools.
fn before_and_after(what: impl FnOnce(&Fixture)) -> (Vec<Sighting>, Vec<Sighting>) {
    let fixture = Fixture::new().program("tools/bin/cc").program("tools/bin/ld");
    let witness = toolchain(&fixture).witness().unwrap();
    let before = witness.look().unwrap();
    assert_eq!(before, witness.look().unwrap(), "looking changes nothing");
    // Times of files are as coarse as the kernel's tick.
    let tick = fixture.path("tick");
    let changed = |path: &std::path::Path| std::os::unix::fs::MetadataExt::ctime_nsec(&fs::metadata(path).unwrap());
    fs::write(&tick, "0").unwrap();
    let first = changed(&tick);
    while changed(&tick) == first {
        fs::write(&tick, "1").unwrap();
    }
    what(&fixture);
    (before, witness.look().unwrap())
}

#[test]
fn what_an_update_does_is_seen() {
    type Update = fn(&Fixture);
    let updates: [(&str, Update); 4] = [
        ("another program is renamed over it", |fixture| {
            fs::write(fixture.path("tools/new"), "another compiler").unwrap();
            fs::rename(fixture.path("tools/new"), fixture.path("tools/bin/cc")).unwrap();
        }),
        ("it is written anew in place", |fixture| {
            fs::write(fixture.path("tools/bin/cc"), "\x7fELFtools/bin/cd").unwrap();
        }),
        ("it is moved away", |fixture| {
            fs::rename(fixture.path("tools/bin/cc"), fixture.path("tools/bin/cc-old")).unwrap();
        }),
        ("a program beside it is replaced", |fixture| {
            fs::write(fixture.path("tools/new"), "another linker").unwrap();
            fs::rename(fixture.path("tools/new"), fixture.path("tools/bin/ld")).unwrap();
        }),
    ];
    for (what, update) in updates {
        let (before, after) = before_and_after(update);
        assert_ne!(before, after, "{what}");
    }
}

#[test]
fn a_program_is_seen_even_where_the_way_to_it_is_gone() {
    let (before, after) = before_and_after(|fixture| {
        fs::create_dir(fixture.path("elsewhere")).unwrap();
        fs::rename(fixture.path("tools/bin/cc"), fixture.path("elsewhere/cc")).unwrap();
    });
    assert_ne!(before[0], after[0], "the program itself");
    assert_eq!(before[0].marks.unwrap().inode, after[0].marks.unwrap().inode, "it is still the one that was found");
}

#[test]
fn a_place_that_is_gone_is_no_place_to_say_anything_about() {
    let fixture = Fixture::new().program("tools/bin/cc");
    let witness = toolchain(&fixture).witness().unwrap();
    fs::remove_dir_all(fixture.path("tools")).unwrap();
    assert!(witness.look().is_err());
}
