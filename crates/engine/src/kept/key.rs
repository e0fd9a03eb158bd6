//! Everything that a build depends on, as one number.

use firebox_cell::{Link, Mount, TextFile, View};
use firebox_job::{Building, CellKind, SourceFile, StepKind};
use firebox_lang::{Marks, Program, Sighting, Step, Toolchain};

use super::encoder::Encoder;
use super::partition::Partition;

/// What the number is for. Another one for every change of what goes into it, or of what a build is.
const PURPOSE: &str = "firebox key of a kept build, version 1";

/// The number of one build. Nobody can find two builds with the same one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key([u8; blake3::OUT_LEN]);

/// Everything that a build depends on.
#[derive(Clone, Copy)]
pub(super) struct Ingredients<'a> {
    pub(super) partition: &'a Partition,
    pub(super) language: &'a str,
    pub(super) toolchain: &'a Toolchain,
    /// What the toolchain looks like now.
    pub(super) sightings: &'a [Sighting],
    /// The steps that build, in the layout of their cell.
    pub(super) steps: &'a [Step],
    pub(super) files: &'a [SourceFile],
    pub(super) building: &'a Building,
    pub(super) cell: CellKind,
}

impl Key {
    pub(super) fn of(ingredients: Ingredients<'_>) -> Key {
        // Exhaustive, here and below: what is new must be taken in, or be left out for a reason.
        let Ingredients { partition, language, toolchain, sightings, steps, files, building, cell } = ingredients;
        let mut encoder = Encoder::new(PURPOSE);
        encoder.text(partition.name());
        encoder.text(language);
        encoder.text(cell.name());
        take_toolchain(&mut encoder, toolchain);
        encoder.list(sightings, take_sighting);
        encoder.list(steps, take_step);
        encoder.list(files, |encoder, SourceFile { path, content }| {
            encoder.text(path.as_str());
            encoder.bytes(content);
        });
        let Building { memory, tasks, vcpus, disk, inodes } = building;
        let numbers = [memory.as_u64(), tasks.get().into(), vcpus.get().into(), disk.as_u64(), (*inodes).into()];
        numbers.into_iter().for_each(|number| encoder.number(number));
        Key(encoder.finish())
    }
}

fn take_toolchain(encoder: &mut Encoder, toolchain: &Toolchain) {
    // These three reach a build in its step, and the groundwork is mounted as well.
    let Toolchain { programs, view, environment: _, groundwork: _, first_to_build: _, image: _ } = toolchain;
    encoder.list(programs, |encoder, Program { name, found, outside, inside }| {
        encoder.text(name);
        encoder.text(found);
        encoder.path(outside);
        encoder.path(inside);
    });
    // Steps are taken one by one. What is of an image is mounted from its tree, whose path no other tree has.
    let View { mounts, links, files, supplies, is_image: _, steps: _ } = view;
    encoder.list(mounts, |encoder, Mount { outside, inside }| {
        encoder.path(outside);
        encoder.path(inside);
    });
    encoder.list(links, |encoder, Link { inside, target }| {
        encoder.path(inside);
        encoder.path(target);
    });
    encoder.list(files, |encoder, TextFile { inside, content }| {
        encoder.path(inside);
        encoder.text(content);
    });
    // What is kept lives no longer than the process, and neither does what that has brought along.
    encoder.list(supplies, |encoder, supply| {
        encoder.path(supply.below());
        encoder.number(supply.program().len() as u64);
    });
}

fn take_sighting(encoder: &mut Encoder, Sighting { path, marks }: &Sighting) {
    encoder.path(path);
    encoder.option(*marks, |encoder, Marks { device, inode, size, modified, changed }| {
        [device, inode, size].into_iter().for_each(|number| encoder.number(number));
        [modified.0, modified.1, changed.0, changed.1].into_iter().for_each(|number| encoder.signed(number));
    });
}

/// The number of a step by itself, and of how its tool is started in what is frozen: see `freezing`. Another version for every change of that.
pub(crate) fn mark_of(step: &Step) -> [u8; blake3::OUT_LEN] {
    let mut encoder = Encoder::new("firebox mark of a step, version 1");
    take_step(&mut encoder, step);
    encoder.finish()
}

fn take_step(encoder: &mut Encoder, step: &Step) {
    let Step { name, kind, argv, env, crash_codes, makes } = step;
    encoder.text(name);
    encoder.number(match kind {
        StepKind::Build => 0,
        StepKind::Run => 1,
    });
    encoder.list(argv, |encoder, argument| encoder.bytes(argument));
    encoder.list(env, |encoder, (name, value)| {
        encoder.text(name);
        encoder.text(value);
    });
    encoder.bytes(crash_codes);
    encoder.option(makes.as_ref(), |encoder, makes| encoder.text(makes.as_str()));
}

#[cfg(test)]
impl Key {
    /// One that no ingredients come to.
    pub(super) fn numbered(number: u8) -> Key {
        Key([number; blake3::OUT_LEN])
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU32;

    use firebox_job::{ByteSize, SourcePath};

    use firebox_cell::Supply;
    use firebox_lang::Groundwork;

    use super::*;

    /// Ingredients that can be changed one at a time.
    #[derive(Clone)]
    struct Pantry {
        partition: Partition,
        language: String,
        toolchain: Toolchain,
        sightings: Vec<Sighting>,
        steps: Vec<Step>,
        files: Vec<SourceFile>,
        building: Building,
        cell: CellKind,
    }

    fn pantry() -> Pantry {
        let program = Program {
            name: "cc".to_owned(),
            found: "gcc".to_owned(),
            outside: "/usr/bin/gcc-12".into(),
            inside: "/usr/bin/gcc".into(),
        };
        let view = View {
            mounts: vec![Mount { outside: "/usr/bin".into(), inside: "/usr/bin".into() }],
            links: vec![Link { inside: "/bin".into(), target: "usr/bin".into() }],
            files: vec![TextFile { inside: "/etc/hostname".into(), content: "firebox\n".to_owned() }],
            supplies: vec![Supply::new("linker/cc", b"a program")],
            is_image: false,
            steps: 2,
        };
        let marks = Marks { device: 1, inode: 2, size: 3, modified: (4, 5), changed: (6, 7) };
        let step = Step {
            name: "compile".to_owned(),
            kind: StepKind::Build,
            argv: vec![b"/usr/bin/gcc".to_vec(), b"-o".to_vec(), b"runbin".to_vec(), b"main.c".to_vec()],
            env: vec![("HOME".to_owned(), "/tmp".to_owned()), ("LANG".to_owned(), "C".to_owned())],
            crash_codes: vec![4],
            makes: Some(SourcePath::new("runbin").unwrap()),
        };
        let file = |path: &str, content: &str| SourceFile {
            path: SourcePath::new(path).unwrap(),
            content: content.as_bytes().to_vec(),
        };
        Pantry {
            partition: Partition::named("ann"),
            language: "c".to_owned(),
            toolchain: Toolchain {
                programs: vec![program],
                view,
                environment: BTreeMap::new(),
                groundwork: Groundwork::NotNeeded,
                first_to_build: None,
                image: None,
            },
            sightings: vec![Sighting { path: "/usr/bin/gcc-12".into(), marks: Some(marks) }],
            steps: vec![step],
            files: vec![file("main.c", "int main(void) {}"), file("a.h", "")],
            building: Building {
                memory: ByteSize::mib(1),
                tasks: NonZeroU32::MIN,
                vcpus: NonZeroU32::MIN,
                disk: ByteSize::mib(2),
                inodes: 3,
            },
            cell: CellKind::Jail,
        }
    }

    fn key(pantry: &Pantry) -> Key {
        let Pantry { partition, language, toolchain, sightings, steps, files, building, cell } = pantry;
        Key::of(Ingredients { partition, language, toolchain, sightings, steps, files, building, cell: *cell })
    }

    type Change = fn(&mut Pantry);

    /// Each changes one thing that a build depends on.
    const CHANGES: &[(&str, Change)] = &[
        ("the partition", |p| p.partition = Partition::named("bob")),
        ("the language", |p| p.language = "cpp".to_owned()),
        ("the kind of cell", |p| p.cell = CellKind::MicroVm),
        ("a program's name", |p| p.toolchain.programs[0].name.push('x')),
        ("the name it was found by", |p| p.toolchain.programs[0].found = "clang".to_owned()),
        ("a program's place on the host", |p| p.toolchain.programs[0].outside = "/usr/bin/gcc-13".into()),
        ("a program's place in the cell", |p| p.toolchain.programs[0].inside = "/usr/bin/cc".into()),
        ("a program less", |p| p.toolchain.programs.clear()),
        ("what is mounted", |p| p.toolchain.view.mounts[0].outside = "/opt/bin".into()),
        ("where it is mounted", |p| p.toolchain.view.mounts[0].inside = "/opt/bin".into()),
        ("a link's place", |p| p.toolchain.view.links[0].inside = "/sbin".into()),
        ("a link's target", |p| p.toolchain.view.links[0].target = "usr/sbin".into()),
        ("a made-up file's place", |p| p.toolchain.view.files[0].inside = "/etc/hosts".into()),
        ("a supply's place", |p| p.toolchain.view.supplies[0] = Supply::new("linker/ld", b"a program")),
        ("a supply", |p| p.toolchain.view.supplies[0] = Supply::new("linker/cc", b"another program")),
        ("a made-up file's text", |p| p.toolchain.view.files[0].content.clear()),
        ("what is looked at", |p| p.sightings[0].path = "/usr/bin/gcc-13".into()),
        ("whether it can be looked at", |p| p.sightings[0].marks = None),
        ("its device", |p| p.sightings[0].marks.as_mut().unwrap().device += 1),
        ("its inode", |p| p.sightings[0].marks.as_mut().unwrap().inode += 1),
        ("its size", |p| p.sightings[0].marks.as_mut().unwrap().size += 1),
        ("the second of its change", |p| p.sightings[0].marks.as_mut().unwrap().modified.0 += 1),
        ("the nanosecond of its change", |p| p.sightings[0].marks.as_mut().unwrap().modified.1 += 1),
        ("the second of its state", |p| p.sightings[0].marks.as_mut().unwrap().changed.0 += 1),
        ("the nanosecond of its state", |p| p.sightings[0].marks.as_mut().unwrap().changed.1 += 1),
        ("something more to look at", |p| p.sightings.push(p.sightings[0].clone())),
        ("a step's name", |p| p.steps[0].name.push('x')),
        ("a step's kind", |p| p.steps[0].kind = StepKind::Run),
        ("an argument", |p| p.steps[0].argv[3].push(b'x')),
        ("an argument more", |p| p.steps[0].argv.push(b"-O2".to_vec())),
        ("the order of arguments", |p| p.steps[0].argv.swap(1, 2)),
        ("where arguments are cut", |p| {
            p.steps[0].argv.splice(1..3, [b"-orunbin".to_vec(), Vec::new()]);
        }),
        ("a variable's name", |p| p.steps[0].env[0].0.push('X')),
        ("a variable's value", |p| p.steps[0].env[0].1.push('x')),
        ("where a variable is cut", |p| p.steps[0].env[0] = ("HOM".to_owned(), "E/tmp".to_owned())),
        ("a variable less", |p| drop(p.steps[0].env.pop())),
        ("the codes of crashes", |p| p.steps[0].crash_codes.push(5)),
        ("what a step makes", |p| p.steps[0].makes = None),
        ("a step more", |p| p.steps.push(p.steps[0].clone())),
        ("a file's path", |p| p.files[1].path = SourcePath::new("b.h").unwrap()),
        ("a file's content", |p| p.files[0].content.push(b' ')),
        ("a byte from one file's name to its content", |p| {
            p.files[1] = SourceFile { path: SourcePath::new("a.").unwrap(), content: b"h".to_vec() };
        }),
        ("a file more", |p| p.files.push(SourceFile { path: SourcePath::new("c.h").unwrap(), content: Vec::new() })),
        ("a file less", |p| drop(p.files.pop())),
        ("the order of files", |p| p.files.swap(0, 1)),
        ("the memory of building", |p| p.building.memory = ByteSize::mib(3)),
        ("the tasks of building", |p| p.building.tasks = NonZeroU32::new(2).unwrap()),
        ("the CPUs of building", |p| p.building.vcpus = NonZeroU32::new(2).unwrap()),
        ("the disk of building", |p| p.building.disk = ByteSize::mib(3)),
        ("the inodes of building", |p| p.building.inodes = 4),
    ];

    #[test]
    fn whatever_a_build_depends_on_is_in_its_key() {
        let first = key(&pantry());
        assert_eq!(first, key(&pantry()), "the same ingredients");
        let mut seen = vec![("nothing", first)];
        for (what, change) in CHANGES {
            let mut changed = pantry();
            change(&mut changed);
            let key = key(&changed);
            for (other, of_other) in &seen {
                assert_ne!(key, *of_other, "{what} makes the same key as {other}");
            }
            seen.push((what, key));
        }
    }

    #[test]
    fn what_reaches_a_build_in_another_way_is_not_in_its_key_twice() {
        let mut pantry = pantry();
        let first = key(&pantry);
        pantry.toolchain.environment.insert("LANG".to_owned(), "C".to_owned());
        assert_eq!(key(&pantry), first, "a step's environment is what reaches it");
    }
}
