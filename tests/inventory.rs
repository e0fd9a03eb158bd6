//! The inventory that all end-to-end tests rely on, against planted leaks: each is found, and gone after cleaning.

mod kit;

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::chown;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Command;

use kit::{Allowance, Guard, HostInventory, Process, Running, UIDS, is_root, skip, tool};

/// Plants a leak, which must be found under `text`, and cleans it up, after which nothing must be found.
fn check<Leak>(text: &str, plant: impl FnOnce() -> Leak, clean: impl FnOnce(Leak)) {
    let host = HostInventory::take();
    let leak = plant();
    host.wait_for(text);
    clean(leak);
    host.assert_nothing_left();
}

/// Planting needs the user ids of cells, or mounts.
fn root() -> bool {
    is_root("planting a leak")
}

/// A process that sleeps, started through these words; ends with the guard that it is in.
fn sleeper(words: &[&str]) -> Running {
    let guard = Guard::new(Allowance::CONTROL);
    let mut command = guard.command(tool(words[0]));
    command.args(&words[1..]).args([tool("sleep").as_os_str(), "1000".as_ref()]);
    Running::start(guard, command, None)
}

fn succeed(program: &str, args: &[&str]) -> String {
    let output =
        Command::new(tool(program)).args(args).output().unwrap_or_else(|e| panic!("cannot start {program}: {e}"));
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("tools write text")
}

const LEASED: u32 = *UIDS.start() + 1;

#[test]
fn a_process_of_a_leased_user_id_is_found() {
    let uid = LEASED.to_string();
    if root() {
        check(
            &format!("`sleep`, uid {uid}"),
            || sleeper(&["setpriv", "--reuid", &uid, "--clear-groups"]),
            Running::end,
        );
    }
}

#[test]
fn a_process_with_a_name_of_ours_is_found() {
    let plant = || {
        let directory = kit::temp_dir();
        let copy = directory.path().join("firebox");
        fs::copy(tool("sleep"), &copy).expect("a copy of sleep");
        let guard = Guard::new(Allowance::CONTROL);
        let mut command = guard.command(copy);
        command.arg("1000");
        (Running::start(guard, command, None), directory)
    };
    check("`firebox`", plant, |(run, _directory)| run.end());
}

#[test]
fn a_mount_is_found() {
    if !root() {
        return;
    }
    let plant = || {
        let directory = kit::temp_dir();
        let point = directory.path().join("firebox-cell");
        fs::create_dir(&point).expect("a directory");
        succeed("mount", &["-t", "tmpfs", "none", point.to_str().expect("a path of ours is text")]);
        (directory, point)
    };
    check("mount /", plant, |(_directory, point)| {
        succeed("umount", &[point.to_str().expect("a path of ours is text")]);
    });
}

#[test]
fn a_control_group_is_found() {
    // Below a guard's, which removes it should this fail.
    let guard = Guard::new(Allowance::CONTROL);
    let Some(group) = guard.groups().first().map(|group| group.join("firebox-0")) else {
        return skip("planting a control group", "this host lets us make none");
    };
    let plant = || fs::create_dir(&group).expect("a guard's groups are ours");
    check(group.to_str().expect("text"), plant, |()| fs::remove_dir(&group).expect("it is empty"));
}

#[test]
fn a_file_of_a_leased_user_id_is_found() {
    if root() {
        let plant = || {
            let directory = kit::temp_dir();
            let file = directory.path().join("file");
            fs::write(&file, "").expect("a file");
            chown(&file, Some(LEASED), None).expect("root may");
            directory
        };
        check(&format!("/file, owner {LEASED}"), plant, drop);
    }
}

#[test]
fn a_file_with_a_name_of_ours_is_found() {
    let plant = || tempfile::Builder::new().prefix("firebox-leak-").tempfile().expect("a temporary file");
    check("firebox-leak-", plant, drop);
}

#[test]
fn an_abstract_socket_is_found() {
    let address = SocketAddr::from_abstract_name("firebox-leak").expect("a short name");
    check("unix socket @firebox-leak", || UnixListener::bind_addr(&address).expect("a free name"), drop);
}

#[test]
fn a_listener_of_a_leased_user_id_is_found() {
    if root() {
        let uid = LEASED.to_string();
        let code = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); time.sleep(1000)";
        let plant = || {
            let guard = Guard::new(Allowance::CONTROL);
            let mut command = guard.command(tool("setpriv"));
            command.args(["--reuid", &uid, "--clear-groups"]).arg(tool("python3")).args(["-c", code]);
            Running::start(guard, command, None)
        };
        check("tcp socket", plant, Running::end);
    }
}

#[test]
fn system_v_shared_memory_is_found() {
    if root() {
        let uid = LEASED.to_string();
        let plant = || {
            let said = succeed("setpriv", &["--reuid", &uid, "--clear-groups", "ipcmk", "--shmem", "4096"]);
            said.split_whitespace().last().expect("ipcmk says the id").to_owned()
        };
        check("System V shm", plant, |id| drop(succeed("ipcrm", &["--shmem-id", &id])));
    }
}

#[test]
fn a_network_namespace_is_found() {
    if root() {
        check("namespace net:[", || sleeper(&["unshare", "--net"]), Running::end);
    }
}

#[test]
fn a_network_namespace_without_a_process_is_found() {
    if !root() {
        return;
    }
    let plant = || {
        let directory = kit::temp_dir();
        let name = directory.path().join("kept");
        fs::write(&name, "").expect("a file");
        let name = name.to_str().expect("a path of ours is text").to_owned();
        succeed("unshare", &[&format!("--net={name}"), "true"]);
        (directory, name)
    };
    check("(nsfs ", plant, |(_directory, name)| drop(succeed("umount", &[&name])));
}

#[test]
fn a_guard_ends_everything_in_it_and_removes_its_groups() {
    let host = HostInventory::take();
    let guard = Guard::new(Allowance::CONTROL);
    let groups = guard.groups().to_vec();
    let mut command = guard.command(tool("sh"));
    command.args(["-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"]);

    let (call, guard) = Running::start(guard, command, None).wait_keeping_guard();
    let detached: u32 = call.stdout().trim().parse().expect("the shell says its number");
    assert!(Process::read(detached).is_some() && !call.left.is_empty(), "nothing detached itself\n{call}");
    drop(guard);

    assert!(Process::read(detached).is_none(), "process {detached} outlives its guard");
    assert!(groups.iter().all(|group| !group.exists()), "still there: {groups:?}");
    host.assert_nothing_left();
}
