//! Names that lead to one place when they are looked at and to another when they are used: whoever is told of a job is who was
//! looked at, and never somebody whom only the service can reach.

mod kit;

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kit::{Certificate, MOMENT, Service, firebox, is_root, repository, skip, temp_dir, tool};
use serde_json::{Value, json};

/// A network in which we own names and a public address: see `world.py`.
struct World {
    process: Child,
    said: Arc<Mutex<Vec<String>>>,
    certificate: Certificate,
    _directory: tempfile::TempDir,
}

impl World {
    /// None where there can be none; then why is said.
    fn new(test: &str) -> Option<World> {
        if !is_root(test) {
            return None;
        }
        let own = Command::new(tool("unshare")).args(["--mount", "--net", "true"]).output().expect("unshare starts");
        if !own.status.success() {
            let why = String::from_utf8_lossy(&own.stderr);
            skip(test, &format!("this host gives nobody a network of their own: {}", why.trim()));
            return None;
        }
        let (directory, certificate) = (temp_dir(), Certificate::of_servers("hooks", "DNS:*.hooks.example"));
        kit::show_to_everybody(directory.path());
        let mut process = Command::new(tool("unshare"))
            .args(["--mount", "--net"])
            .arg(tool("python3"))
            .arg(repository("tests/rebinding/world.py"))
            .args([directory.path().to_owned(), certificate.path(), certificate.key()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let said = Arc::default();
        let (lines, all) = (BufReader::new(process.stdout.take().expect("it is piped")).lines(), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let all: &Mutex<Vec<String>> = &all;
                all.lock().expect("nobody panicked").push(line);
            }
        });
        let world = World { process, said, certificate, _directory: directory };
        world.assert_seen("ready", 1);
        Some(world)
    }

    /// What starts something there.
    fn entrance(&self) -> Vec<OsString> {
        let target = format!("--target={}", self.process.id());
        [tool("nsenter").into(), target.into(), "--mount".into(), "--net".into(), "--".into()].into()
    }

    fn serve(&self, words: &[&str]) -> Service {
        let call = firebox().file("roots", std::fs::read(self.certificate.path()).expect("a certificate"));
        let roots = call.directory().join("roots");
        let call = call.through(self.entrance()).args(["serve", "--listen", "127.0.0.1:0", "--languages", "bash"]);
        let call = call.arg("--webhook-roots").arg(roots).args(words.iter().copied());
        Service::of(call.start()).reached_through(&self.entrance())
    }

    /// Sees that this was seen there so often; what happened before it was has been seen as well.
    fn assert_seen(&self, what: &str, times: usize) {
        let until = Instant::now() + MOMENT;
        loop {
            let said = self.said.lock().expect("nobody panicked").clone();
            let seen = said.iter().filter(|line| *line == what).count();
            assert!(seen <= times && Instant::now() < until, "{what:?} {seen} times, not {times}: {said:#?}");
            if seen == times {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Not the end of its input alone: whatever keeps it, it ends here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn submit(service: &Service, url: &str) -> String {
    let job = json!({"lang": "bash", "code": "true", "webhook": {"url": url, "secret": "between us"}});
    service.submit(&job)
}

/// Returns what became of a webhook when it is so.
fn wait_for(service: &Service, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + MOMENT;
    loop {
        let webhook = service.get(&format!("/v1/jobs/{id}")).answer().json()["webhook"].clone();
        if is_so(&webhook) {
            return webhook;
        }
        assert!(Instant::now() < until, "it does not come to that: {webhook}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn has_failed(webhook: &Value, why: &str) -> bool {
    webhook["last_error"].as_str().is_some_and(|error| error.contains(why))
}

#[test]
fn a_name_that_turns_to_the_inside_between_two_looks_is_nobodys_way_in() {
    let Some(world) = World::new("names that lead elsewhere the next time") else { return };
    let service = world.serve(&[]);
    let no_public = |webhook: &Value| has_failed(webhook, "leads to no public address");

    // An honest one is told, so what is refused below is not refused because nothing gets through.
    let honest = submit(&service, "https://honest.hooks.example/");
    assert_eq!(wait_for(&service, &honest, |webhook| webhook["status"] == "delivered")["attempts"], 1);
    world.assert_seen("told 11.0.0.1 honest.hooks.example /", 1);

    // Out, in, out: the first is answered by "not now", the second is not sent, the third is heard.
    let turns = submit(&service, "https://turns.hooks.example/later");
    assert_eq!(wait_for(&service, &turns, |webhook| webhook["status"] == "delivered")["attempts"], 3);
    // One question for each try: where the second of two would have led, nobody went.
    world.assert_seen("told 11.0.0.1 turns.hooks.example /later", 2);
    world.assert_seen("asked turns.hooks.example", 3);

    for inside in ["home", "both"] {
        let id = submit(&service, &format!("https://{inside}.hooks.example/"));
        wait_for(&service, &id, no_public);
    }
    let elsewhere = submit(&service, "https://honest.hooks.example/elsewhere");
    wait_for(&service, &elsewhere, |webhook| has_failed(webhook, "the answer was 307, and redirects are not followed"));
    service.stop();

    // The inside can be reached: an operator may want that. It is the first time that anybody comes there.
    let service = world.serve(&["--webhook-allow-private"]);
    let home = submit(&service, "https://home.hooks.example/allowed");
    wait_for(&service, &home, |webhook| webhook["status"] == "delivered");
    service.stop();
    world.assert_seen("told 127.0.0.1 home.hooks.example /allowed", 1);
    world.assert_seen("met 127.0.0.1", 1);
    // Where the redirect led to, nobody even asked for.
    world.assert_seen("asked inside.hooks.example", 0);
}
