//! Which version of control groups a host has, and where in them firebox itself is.
//!
//! Reads `/proc/self/mountinfo` and `/proc/self/cgroup`. In version 1 our groups are made below the one that firebox was
//! started in, so that whatever an operator or a service manager allows firebox holds for its cells together. In
//! version 2 they are made at the top of what firebox sees, since the group that it is in cannot hand controllers down.
//! To an ordinary user the group that firebox was started in may have been handed: see `delegated`.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::Groups;
use super::v1::{Controller, Hierarchies};
use super::v2::{self, Tree};

/// Where an instance's groups can be made.
#[derive(Debug, PartialEq, Eq)]
#[expect(private_interfaces, reason = "which controllers a place is for is only decided and used in here")]
pub(crate) enum Place {
    /// One directory per hierarchy, with the controllers it is for.
    V1(Vec<(PathBuf, Vec<Controller>)>),
    /// The one directory.
    V2(PathBuf),
}

/// Why control groups cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DetectError {
    #[error("cannot read {path}")]
    Read { path: &'static str, source: io::Error },
    #[error("this host has no `{controller}` controller for control groups; mount it, or start the kernel with it")]
    Missing { controller: &'static str },
    #[error("cannot make a control group below {}; it must be writable, which it is not in most containers", .place.display())]
    Make { place: PathBuf, source: io::Error },
}

impl Place {
    /// Finds the place on a host that is ours.
    pub(crate) fn detect() -> Result<Place, DetectError> {
        Place::found(|_, mount| mount.at)
    }

    /// Finds the place that was handed to an ordinary user, if one was: the group that firebox was started in.
    pub(crate) fn handed_down() -> Result<Place, DetectError> {
        Place::found(|membership, mount| {
            let own = membership.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
            join_below(&mount.at, &mount.root, own)
        })
    }

    /// `unified` says where in version 2 it would be.
    fn found(unified: impl Fn(&str, CgroupMount<'_>) -> PathBuf) -> Result<Place, DetectError> {
        let read =
            |path: &'static str| std::fs::read_to_string(path).map_err(|source| DetectError::Read { path, source });
        let mounts = read("/proc/self/mountinfo")?;
        let membership = read("/proc/self/cgroup")?;
        let unified = v2_mount(&mounts).and_then(|mount| {
            let place = unified(&membership, mount);
            let controllers = std::fs::read_to_string(place.join("cgroup.controllers")).ok()?;
            Some((place, controllers))
        });
        place(&mounts, &membership, unified)
    }

    /// The directory that stands for all of them.
    pub(crate) fn first(&self) -> &Path {
        match self {
            Place::V1(places) => places.first().map_or(Path::new("/"), |(place, _)| place),
            Place::V2(place) => place,
        }
    }

    /// The directories that an instance of this name will have: to be written down before they are made, so that
    /// whoever has to sweep them up finds them.
    pub(crate) fn directories(&self, instance: &str) -> Vec<PathBuf> {
        match self {
            Place::V1(places) => places.iter().map(|(place, _)| place.join(instance)).collect(),
            Place::V2(place) => vec![place.join(instance)],
        }
    }

    /// Makes the groups of an instance here.
    pub(crate) fn create(self, instance: &str) -> Result<Groups, DetectError> {
        match self {
            Place::V1(places) => Hierarchies::create(places, instance)
                .map(Groups::V1)
                .map_err(|(place, errno)| DetectError::Make { place, source: errno.into() }),
            Place::V2(place) => Tree::create(&place, instance)
                .map(Groups::V2)
                .map_err(|errno: Errno| DetectError::Make { place, source: errno.into() }),
        }
    }
}

/// Which control groups this host has, in words.
pub(crate) fn version() -> Result<&'static str, String> {
    let unified = std::fs::read_to_string("/proc/self/mountinfo").is_ok_and(|mounts| v2_mount(&mounts).is_some());
    match Place::detect() {
        Ok(Place::V2(_)) => Ok("version 2"),
        Ok(Place::V1(_)) if unified => Ok("version 1, with version 2 beside it (hybrid)"),
        Ok(Place::V1(_)) => Ok("version 1"),
        Err(error) => Err(error.to_string()),
    }
}

/// The decision alone: version 2 where it has what we need, else version 1.
fn place(mounts: &str, membership: &str, unified: Option<(PathBuf, String)>) -> Result<Place, DetectError> {
    if let Some((mount, controllers)) = unified {
        let has = |wanted: &&str| controllers.split_whitespace().any(|controller| controller == *wanted);
        if v2::CONTROLLERS.iter().all(has) {
            // A group with members cannot hand controllers down, and the one we are in has us. The root can.
            return Ok(Place::V2(mount));
        }
    }
    let mut places: Vec<(PathBuf, Vec<Controller>)> = Vec::new();
    for controller in Controller::ALL {
        let mount = v1_mount(mounts, controller).ok_or(DetectError::Missing { controller: controller.name() })?;
        let inside = v1_membership(membership, controller).unwrap_or("/");
        let directory = join_below(&mount.at, &mount.root, inside);
        match places.iter_mut().find(|(path, _)| *path == directory) {
            Some((_, controllers)) => controllers.push(controller),
            None => places.push((directory, vec![controller])),
        }
    }
    Ok(Place::V1(places))
}

/// A mount of a control group file system.
struct CgroupMount<'a> {
    /// Which part of the hierarchy is mounted.
    root: PathBuf,
    at: PathBuf,
    kind: &'a str,
    options: &'a str,
}

fn cgroup_mounts(mounts: &str) -> impl Iterator<Item = CgroupMount<'_>> {
    mounts.lines().filter_map(|line| {
        // Five fields and optional ones, a dash, then type, source and options of the file system.
        let (front, back) = line.split_once(" - ")?;
        let mut front = front.split(' ').skip(3);
        let (root, at) = (unescaped(front.next()?), unescaped(front.next()?));
        let mut back = back.split(' ');
        let (kind, _source, options) = (back.next()?, back.next()?, back.next().unwrap_or(""));
        kind.starts_with("cgroup").then_some(CgroupMount { root, at, kind, options })
    })
}

fn v2_mount(mounts: &str) -> Option<CgroupMount<'_>> {
    cgroup_mounts(mounts).find(|mount| mount.kind == "cgroup2")
}

fn v1_mount(mounts: &str, controller: Controller) -> Option<CgroupMount<'_>> {
    let has = |mount: &CgroupMount<'_>| mount.options.split(',').any(|option| option == controller.name());
    cgroup_mounts(mounts).find(|mount| mount.kind == "cgroup" && has(mount))
}

/// The group that firebox is in, in the hierarchy of a controller.
fn v1_membership(membership: &str, controller: Controller) -> Option<&str> {
    membership.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        controllers.split(',').any(|name| name == controller.name()).then_some(path)
    })
}

/// Where a group is found, when only a part of its hierarchy is mounted.
fn join_below(at: &Path, root: &Path, group: &str) -> PathBuf {
    let group = Path::new(group);
    let below = group.strip_prefix(root).unwrap_or(Path::new(""));
    at.components().chain(below.components().filter(|part| matches!(part, std::path::Component::Normal(_)))).collect()
}

/// mountinfo writes white space and backslashes as octal.
fn unescaped(field: &str) -> PathBuf {
    let mut out = field.to_owned();
    for (code, character) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        out = out.replace(code, character);
    }
    PathBuf::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "\
30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:10 - cgroup cgroup rw,cpu,cpuacct
31 25 0:27 / /sys/fs/cgroup/memory rw,nosuid shared:11 - cgroup cgroup rw,memory
32 25 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
33 25 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";

    const V1_MEMBERSHIP: &str = "\
12:pids:/
11:memory:/service/a
4:cpu,cpuacct:/
0::/
";

    #[test]
    fn version_1_is_used_where_version_2_is_mounted_without_controllers() {
        let unified = Some((PathBuf::from("/sys/fs/cgroup/unified"), "hugetlb\n".to_owned()));

        let found = place(V1, V1_MEMBERSHIP, unified).unwrap();

        let expected = vec![
            (PathBuf::from("/sys/fs/cgroup/memory/service/a"), vec![Controller::Memory]),
            (PathBuf::from("/sys/fs/cgroup/pids"), vec![Controller::Pids]),
            (PathBuf::from("/sys/fs/cgroup/cpu,cpuacct"), vec![Controller::Cpu, Controller::CpuAccounting]),
        ];
        assert_eq!(found, Place::V1(expected));
    }

    #[test]
    fn version_2_is_used_where_it_has_the_controllers() {
        let mounts = "25 20 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let unified = Some((v2_mount(mounts).unwrap().at, "cpuset cpu io memory hugetlb pids rdma\n".to_owned()));

        assert_eq!(place(mounts, "0::/\n", unified).unwrap(), Place::V2(PathBuf::from("/sys/fs/cgroup")));
    }

    #[test]
    fn a_missing_controller_is_named() {
        let mounts: String = V1.lines().filter(|line| !line.contains("pids")).map(|line| format!("{line}\n")).collect();

        let error = place(&mounts, V1_MEMBERSHIP, None).unwrap_err();

        assert!(error.to_string().contains("`pids`"), "{error}");
    }

    #[test]
    fn a_part_of_a_hierarchy_mounted_elsewhere_is_found() {
        for (root, group, expected) in [
            ("/", "/a/b", "/mnt/a/b"),
            ("/docker/x", "/docker/x", "/mnt"),
            ("/docker/x", "/docker/x/y", "/mnt/y"),
            ("/docker/x", "/", "/mnt"),
        ] {
            assert_eq!(
                join_below(Path::new("/mnt"), Path::new(root), group),
                PathBuf::from(expected),
                "{root} {group}"
            );
        }
    }
}
