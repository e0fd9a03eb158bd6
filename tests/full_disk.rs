//! A disk that takes nothing any more below a service that keeps jobs: what was accepted is not lost, what cannot be is refused,
//! who waits for a job has it run, and the log says it once and not again and again.

mod kit;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use kit::{
    Answer, Finished, HostInventory, MOMENT, OrdinaryUser, Service, firebox, is_installed, is_root, skip, temp_dir,
    tool,
};
use serde_json::{Value, json};

/// How long the disk stays as it is: some tries of everybody who tries again, and a look of everybody who looks now and then.
const A_WHILE: Duration = Duration::from_secs(7);
/// What a job brings along in the tests that fill a disk.
const LARGE: usize = 100_000;

/// A small disk of its own.
struct Disk {
    place: tempfile::TempDir,
    /// What it is in, where it is not in memory.
    image: Option<tempfile::TempDir>,
}

impl Disk {
    /// One in memory, to be filled. None where nobody may mount it; then why is said.
    fn small(test: &str) -> Option<Disk> {
        if !is_root(test) {
            return None;
        }
        let disk = Disk { place: temp_dir(), image: None };
        succeed("mount", &["-t", "tmpfs", "-o", "size=6m", "none", text(disk.place.path())]);
        Some(disk.with_a_place_for_state())
    }

    /// One that can fail. None where there can be none; then why is said.
    fn mortal(test: &str) -> Option<Disk> {
        if !is_root(test) {
            return None;
        }
        if !is_installed("mkfs.ext4") {
            return None;
        }
        let (place, image) = (temp_dir(), temp_dir());
        let file = image.path().join("image");
        File::create(&file).and_then(|file| file.set_len(32 << 20)).expect("a sparse file");
        succeed("mkfs.ext4", &["-q", text(&file)]);
        let disk = Disk { place, image: Some(image) };
        if let Err(why) = disk.mount() {
            skip(test, &format!("this host mounts no image of a disk: {why}"));
            return None;
        }
        Some(disk.with_a_place_for_state())
    }

    fn with_a_place_for_state(self) -> Disk {
        let state = self.place.path().join("state");
        fs::create_dir(&state).expect("an empty disk has room");
        if let Some(user) = OrdinaryUser::where_nobody_is_named() {
            kit::show_to_everybody(self.place.path());
            std::os::unix::fs::chown(&state, Some(user.uid), Some(user.uid)).expect("it can be given away");
        }
        self
    }

    fn mount(&self) -> Result<(), String> {
        let Some(image) = &self.image else { return Ok(()) };
        let image = image.path().join("image");
        run("mount", &["-o", "loop,errors=remount-ro", text(&image), text(self.place.path())])
    }

    /// Not a byte is free afterwards.
    fn fill(&self) {
        let mut filler = OpenOptions::new().create(true).append(true).open(self.filler()).expect("a file");
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.filler()).expect("it is there");
    }

    fn filler(&self) -> PathBuf {
        self.place.path().join("filler")
    }

    /// Has its kernel take it for broken, as it does when a write has failed: nobody can write from now on.
    fn fail(&self) {
        let number = fs::metadata(self.place.path()).expect("it is there").dev();
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        let device = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).expect("it has a device");
        let name = device.file_name().expect("it has a name").to_owned();
        fs::write(Path::new("/sys/fs/ext4").join(name).join("trigger_fs_error"), "a test").expect("root may");
        assert!(File::create(self.filler()).is_err(), "it can still be written");
    }

    /// Gives it back as a repair and a mount do. To be called when nobody uses it.
    fn mend(&self) {
        succeed("umount", &[text(self.place.path())]);
        self.mount().expect("it could be mounted before");
    }

    fn serve(&self) -> Service {
        let call = firebox().env("FIREBOX_STATE", self.place.path().join("state"));
        let words = ["serve", "--listen", "127.0.0.1:0", "--languages", "bash", "--running", "2", "--grace", "1s"];
        Service::of(call.args(words).start())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run("umount", &["--lazy", text(self.place.path())]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours is text")
}

fn run(program: &str, words: &[&str]) -> Result<(), String> {
    let output = Command::new(tool(program)).args(words).output().expect("it starts");
    output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

fn succeed(program: &str, words: &[&str]) {
    run(program, words).unwrap_or_else(|why| panic!("{program} {words:?}: {why}"));
}

/// Jobs that were accepted: what each of them says, by its id.
type Accepted = BTreeMap<String, String>;

fn submit(service: &Service, before: &str, mark: &str, bytes: usize) -> Answer {
    let code = format!("{before}echo {mark} # {}", "x".repeat(bytes));
    service.post("/v1/jobs", json!({"trace_id": mark, "lang": "bash", "code": code}).to_string()).answer()
}

fn take(accepted: &mut Accepted, answer: &Answer, mark: &str) {
    assert_eq!(answer.code, 202, "{answer:?}");
    let id = answer.json()["id"].as_str().unwrap_or_else(|| panic!("no id: {answer:?}")).to_owned();
    assert_eq!(accepted.insert(id, mark.to_owned()), None);
}

fn look(service: &Service, id: &str) -> Value {
    let answer = service.get(&format!("/v1/jobs/{id}")).answer();
    assert_eq!(answer.code, 200, "{answer:?}");
    answer.json()
}

fn is_end(job: &Value) -> bool {
    !matches!(job["status"].as_str(), Some("queued" | "running"))
}

/// Returns when all of them have ended, and sees that each has done so once and that there are no others.
fn assert_each_ends_once(service: &Service, accepted: &Accepted) {
    let until = Instant::now() + MOMENT;
    for (id, mark) in accepted {
        let mut job = look(service, id);
        while !is_end(&job) {
            assert!(Instant::now() < until, "it does not end: {job}");
            std::thread::sleep(Duration::from_millis(50));
            job = look(service, id);
        }
        let said = (&job["status"], &job["trace_id"], &job["outcome"]["stdout"]);
        assert_eq!(said, (&"done".into(), &mark.as_str().into(), &format!("{mark}\n").into()), "{job}");
        let told = service.get(&format!("/v1/jobs/{id}/events")).answer().body;
        assert_eq!(told.matches("\"status\":\"done\"").count(), 1, "{told}");
        assert_eq!(told.matches("event: outcome").count(), 1, "{told}");
    }
    let listed = service.get("/v1/jobs?limit=1000").answer().json();
    let listed = listed["jobs"].as_array().expect("a list").len();
    assert_eq!(listed, accepted.len(), "what was refused is not there");
}

/// Sends jobs until one is refused, and returns what was said to that.
fn until_refused(service: &Service, accepted: &mut Accepted) -> Answer {
    for number in 0..200 {
        let mark = format!("filling-{number}-{}", accepted.len());
        let answer = submit(service, "", &mark, LARGE);
        if answer.code != 202 {
            return answer;
        }
        take(accepted, &answer, &mark);
    }
    panic!("20 MB fit onto 6");
}

/// Sees that the log said it once when the disk took nothing any more, whoever wanted something of it; and whether it said that
/// this was over.
fn assert_told_once(ended: &Finished, is_over: bool) {
    let lines: Vec<Value> = ended.stderr().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |level: &str, said: &str| {
        let wanted =
            |line: &&Value| line["level"] == level && line["message"].as_str().is_some_and(|m| m.contains(said));
        lines.iter().filter(wanted).count()
    };
    assert_eq!((of("ERROR", ""), of("ERROR", "cannot be written")), (1, 1), "{ended}");
    assert_eq!(of("INFO", "can be written again"), usize::from(is_over), "{ended}");
}

/// Two jobs that run for longer than it takes to look, and some that wait until those have ended.
fn submit_some(service: &Service, accepted: &mut Accepted) {
    for number in 0..12 {
        let (before, mark) = if number < 2 { ("sleep 4; ", "runs") } else { ("", "waits") };
        let mark = format!("{mark}-{number}");
        take(accepted, &submit(service, before, &mark, 0), &mark);
    }
    let first = accepted.iter().find(|(_, mark)| *mark == "runs-1").expect("it was accepted").0;
    let until = Instant::now() + MOMENT;
    while look(service, first)["status"] != "running" {
        assert!(Instant::now() < until, "it does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// For a while, nothing is kept and everything else goes on.
fn assert_only_keeping_fails(service: &Service, code: u16, word: &str) {
    let since = Instant::now();
    while since.elapsed() < A_WHILE {
        let answer = submit(service, "", "more", LARGE);
        assert_eq!((answer.code, &answer.json()["error"]["code"]), (code, &word.into()), "{answer:?}");
        let answer = service.execute(&json!({"lang": "bash", "code": "echo hello"})).answer();
        assert_eq!((answer.code, &answer.json()["stdout"]), (200, &"hello\n".into()), "{answer:?}");
        // A job can be run now, which is what it says.
        let health = service.get("/health").answer();
        assert_eq!(health.code, 200, "{health:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_full_disk_refuses_what_it_cannot_keep_and_loses_nothing_that_it_has() {
    let host = HostInventory::take();
    let Some(disk) = Disk::small("a full disk below a service") else { return };
    let mut accepted = Accepted::new();
    let service = disk.serve();
    submit_some(&service, &mut accepted);
    disk.fill();
    let refused = until_refused(&service, &mut accepted);
    assert_eq!((refused.code, &refused.json()["error"]["code"]), (503, &"full".into()), "{refused:?}");
    assert!(refused.body.contains("disk is full") && refused.headers.contains("retry-after:"), "{refused:?}");
    assert_only_keeping_fails(&service, 503, "full");
    // What ran has ended by now, and nobody is told of an end that is not on disk.
    for id in accepted.keys() {
        assert!(!is_end(&look(&service, id)), "{id}");
    }
    disk.make_room();
    assert_each_ends_once(&service, &accepted);
    assert_told_once(&service.stop(), true);

    // Told to stop meanwhile, it stops, and the next start goes on.
    let service = disk.serve();
    take(&mut accepted, &submit(&service, "sleep 4; ", "last", 0), "last");
    disk.fill();
    until_refused(&service, &mut accepted);
    assert_told_once(&service.stop(), false);
    disk.make_room();
    let service = disk.serve();
    assert_each_ends_once(&service, &accepted);
    service.stop();
    drop(disk);
    host.assert_nothing_left();
}

#[test]
fn a_disk_that_can_only_be_read_keeps_what_it_has_for_the_next_start() {
    let host = HostInventory::take();
    let Some(disk) = Disk::mortal("a disk that fails below a service") else { return };
    let mut accepted = Accepted::new();
    let service = disk.serve();
    submit_some(&service, &mut accepted);
    disk.fail();
    assert_only_keeping_fails(&service, 500, "fault");
    for id in accepted.keys() {
        assert!(!is_end(&look(&service, id)), "{id}");
    }
    assert_told_once(&service.stop(), false);
    disk.mend();
    let service = disk.serve();
    assert_each_ends_once(&service, &accepted);
    service.stop();
    drop(disk);
    host.assert_nothing_left();
}
