//! Jobs that outlive a connection, where there are keys: each has its own, and they end with it.

mod kit;

use std::time::{Duration, Instant};

use kit::{Answer, HostInventory, Keys, MOMENT, Service, bearer};
use serde_json::{Value, json};

/// Somebody with a key.
struct Holder<'a> {
    service: &'a Service,
    header: String,
}

impl Holder<'_> {
    fn with<'a>(service: &'a Service, key: &str) -> Holder<'a> {
        Holder { service, header: bearer(key) }
    }

    fn get(&self, path: &str) -> Answer {
        self.service.get(path).with(&["--header", &self.header]).answer()
    }

    fn post(&self, path: &str, body: &Value, headers: &[&str]) -> Answer {
        let request = self.service.post(path, body.to_string()).with(&["--header", &self.header]);
        headers.iter().fold(request, |request, header| request.with(&["--header", header])).answer()
    }

    fn submit(&self, code: &str, headers: &[&str]) -> String {
        let answer = self.post("/v1/jobs", &bash(code), headers);
        assert_eq!(answer.code, 202, "{answer:?}");
        answer.json()["id"].as_str().expect("a job has an id").to_owned()
    }

    fn delete(&self, path: &str) -> Answer {
        self.service.get(path).with(&["--request", "DELETE", "--header", &self.header]).answer()
    }

    /// Waits until a job of theirs has ended.
    fn outcome(&self, id: &str) -> Value {
        let answer = self.get(&format!("/v1/jobs/{id}?wait=20s"));
        assert_eq!((answer.code, &answer.json()["status"]), (200, &"done".into()), "{answer:?}");
        answer.json()["outcome"].clone()
    }

    /// Waits until the service's numbers have this line.
    fn wait_for(&self, line: &str) {
        let until = Instant::now() + MOMENT;
        while !self.get("/metrics").body.contains(line) {
            assert!(Instant::now() < until, "no {line}: {:?}", self.get("/metrics"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn bash(code: &str) -> Value {
    json!({"lang": "bash", "code": code})
}

/// What is told of a job, but for its id.
fn told(answer: &Answer, id: &str) -> (u16, String) {
    (answer.code, answer.body.replace(id, "ID"))
}

#[test]
fn the_jobs_of_another_are_not_there() {
    let host = HostInventory::take();
    let keys = Keys::none();
    let (one, two) = (keys.create("one", &[]), keys.create("two", &[]));
    let service = keys.serve(&[]);
    let (owner, other) = (Holder::with(&service, &one), Holder::with(&service, &two));
    let once = "idempotency-key: the-same";
    let theirs = owner.submit("echo mine; sleep 1", &[once]);
    let nobodys = format!("{}{}", if theirs.starts_with('0') { '1' } else { '0' }, &theirs[1..]);
    assert_ne!(theirs, nobodys);
    for suffix in ["", "?wait=1s", "/events"] {
        let [foreign, unknown] = [&theirs, &nobodys].map(|id| {
            let answer = other.get(&format!("/v1/jobs/{id}{suffix}"));
            assert_eq!(answer.code, 404, "{suffix}: {answer:?}");
            told(&answer, id)
        });
        assert_eq!(foreign, unknown, "{suffix}");
    }
    let [foreign, unknown] = [&theirs, &nobodys].map(|id| told(&other.delete(&format!("/v1/jobs/{id}")), id));
    assert_eq!((foreign.0, &foreign), (404, &unknown));
    assert_eq!(other.get("/v1/jobs").json()["jobs"], json!([]));

    // What makes a request the same is each one's own.
    let own = other.submit("echo mine; sleep 1", &[once]);
    assert_ne!(own, theirs);
    assert_eq!(owner.submit("echo mine; sleep 1", &[once]), theirs);
    // Nobody has cancelled it.
    assert_eq!(owner.outcome(&theirs)["stdout"], "mine\n");
    assert_eq!(other.outcome(&own)["stdout"], "mine\n");
    for (holder, id) in [(&owner, &theirs), (&other, &own)] {
        let page = holder.get("/v1/jobs").json();
        let ids: Vec<&str> = page["jobs"].as_array().unwrap().iter().filter_map(|job| job["id"].as_str()).collect();
        assert_eq!(ids, [id], "{page}");
    }
    // A new key of the same name is another's.
    keys.revoke("one");
    let three = keys.create("one", &[]);
    service.stop();
    let service = keys.serve(&[]);
    let heir = Holder::with(&service, &three);
    assert_eq!(heir.get(&format!("/v1/jobs/{theirs}")).code, 404);
    assert_eq!(heir.get("/v1/jobs").json()["jobs"], json!([]));
    service.stop();
    host.assert_nothing_left();
}

#[test]
fn what_waits_ends_with_its_key_also_when_the_service_was_not_there() {
    let keys = Keys::none();
    let (gone, stays) = (keys.create("gone", &[]), keys.create("stays", &[]));
    let service = keys.serve(&["--running", "1", "--grace", "100ms"]);
    let (leaver, stayer) = (Holder::with(&service, &gone), Holder::with(&service, &stays));
    let long = stayer.submit("sleep 3; echo long", &[]);
    stayer.wait_for("firebox_jobs_running 1");
    leaver.submit("echo never", &[]);
    keys.revoke("gone");
    assert_eq!(stayer.outcome(&long)["stdout"], "long\n");
    stayer.wait_for(r#"firebox_jobs_kept{status="failed"} 1"#);

    let last = keys.create("last", &[]);
    let until = Instant::now() + MOMENT;
    while service.get("/v1/jobs").with(&["--header", &bearer(&last)]).answer().code != 200 {
        assert!(Instant::now() < until, "a new key is not good");
    }
    let long = stayer.submit("sleep 2; echo long", &[]);
    stayer.wait_for("firebox_jobs_running 1");
    Holder::with(&service, &last).submit("echo never", &[]);
    service.stop();
    keys.revoke("last");
    let service = keys.serve(&["--running", "1"]);
    let stayer = Holder::with(&service, &stays);
    stayer.wait_for(r#"firebox_jobs_kept{status="failed"} 2"#);
    // It was cut short by our end, and began again.
    assert_eq!(stayer.outcome(&long)["stdout"], "long\n");
    stayer.wait_for(r#"firebox_jobs_kept{status="queued"} 0"#);
    service.stop();
}

#[test]
fn what_was_accepted_waits_for_the_next_day_when_this_one_is_used_up() {
    let keys = Keys::none();
    let (bounded, other) = (keys.create("bounded", &["--cpu-per-day", "1s"]), keys.create("other", &[]));
    let service = keys.serve(&["--running", "1"]);
    let (holder, stranger) = (Holder::with(&service, &bounded), Holder::with(&service, &other));
    // By its own CPU time, and so the same on a busy machine.
    let burns = holder.submit("ulimit -t 2; while :; do :; done", &[]);
    let waits: Vec<String> = (0..3).map(|_| holder.submit("echo never today", &[])).collect();
    holder.outcome(&burns);
    assert_eq!(holder.post("/v1/jobs", &bash("true"), &[]).code, 429, "it has burnt too little");
    let wait = |holder: &Holder<'_>| {
        for id in &waits {
            let job = holder.get(&format!("/v1/jobs/{id}")).json();
            assert_eq!((&job["status"], &job["attempts"]), (&"queued".into(), &0.into()), "{job}");
        }
    };
    for _ in 0..3 {
        let theirs = stranger.submit("echo today", &[]);
        assert_eq!(stranger.outcome(&theirs)["stdout"], "today\n");
        wait(&holder);
    }
    // Nor does it end them that the service does, nor that it comes back on the same day.
    service.stop();
    let service = keys.serve(&["--running", "1"]);
    let (holder, stranger) = (Holder::with(&service, &bounded), Holder::with(&service, &other));
    let theirs = stranger.submit("echo today", &[]);
    assert_eq!(stranger.outcome(&theirs)["stdout"], "today\n");
    std::thread::sleep(Duration::from_secs(2));
    wait(&holder);
    assert_eq!(holder.delete(&format!("/v1/jobs/{}", waits[0])).json()["status"], "cancelled");
    // What never will be is told at once.
    keys.revoke("bounded");
    stranger.wait_for(r#"firebox_jobs_kept{status="failed"} 2"#);
    stranger.wait_for(r#"firebox_jobs_kept{status="queued"} 0"#);
    service.stop();
}

#[test]
fn what_a_key_may_have_waiting_holds_on_disk_too() {
    let keys = Keys::none();
    let (bounded, other) = (keys.create("bounded", &["--queue", "2"]), keys.create("other", &[]));
    let service = keys.serve(&["--running", "1"]);
    let (bounded, other) = (Holder::with(&service, &bounded), Holder::with(&service, &other));
    let runs = other.submit("sleep 3", &[]);
    other.wait_for("firebox_jobs_running 1");
    let batch = |count: usize| json!({"jobs": vec![bash("true"); count]});
    let refused = bounded.post("/v1/jobs/batch", &batch(3), &[]);
    assert_eq!((refused.code, &refused.json()["error"]["code"]), (429, &"quota".into()), "{refused:?}");
    let accepted = bounded.post("/v1/jobs/batch", &batch(2), &[]);
    assert_eq!(accepted.code, 202, "{accepted:?}");
    assert_eq!(bounded.post("/v1/jobs", &bash("true"), &[]).code, 429);
    // Others have their own.
    assert_eq!(other.post("/v1/jobs/batch", &batch(3), &[]).code, 202);
    other.outcome(&runs);
    other.wait_for(r#"firebox_jobs_kept{status="done"} 6"#);
    service.stop();
}
