//! Jobs that outlive a connection, many at once, and a service that is killed in the middle of them: each comes to one end.
//!
//! A few hundred of them belong to every `cargo xtask test`; `cargo xtask load` has five thousand, with the release binary.

#![allow(clippy::print_stdout, reason = "what was measured is shown")]

mod kit;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use kit::{Connection, HostInventory, MOMENT, Service, firebox};
use serde_json::{Value, json};

/// Without a word from `cargo xtask load`.
const JOBS: usize = 300;
/// The most that one request brings.
const BATCH: usize = 1000;

#[test]
fn of_many_jobs_that_a_kill_interrupts_each_comes_to_exactly_one_end() {
    let count = match std::env::var("FIREBOX_LOAD_JOBS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("FIREBOX_LOAD_JOBS is `{text}`, which is no number")),
        Err(_) => JOBS,
    };
    let allowed = MOMENT * 2 + Duration::from_millis(200) * count as u32;
    let host = HostInventory::take();
    let state = kit::temp_dir();
    let service = start(state.path(), allowed);

    let begun = Instant::now();
    let marks: Vec<String> = (0..count).map(|number| format!("job-{number}")).collect();
    let mut ids: Vec<String> = Vec::new();
    for (number, batch) in marks.chunks(BATCH).enumerate() {
        ids.extend(submitted(&service, number, batch));
    }
    println!("{count} jobs accepted in {:.1} s", begun.elapsed().as_secs_f64());
    // They run in the order in which they came, so that about half of them have ended then.
    wait_for_end(&service, &ids[count / 2], allowed);
    let before = pages(&service);
    service.kill();

    let service = start(state.path(), allowed);
    // Whoever did not hear the answer asks once more, and has no second set of jobs.
    assert_eq!(submitted(&service, 0, marks.chunks(BATCH).next().expect("there is one")), ids[..count.min(BATCH)]);
    let until = Instant::now() + allowed;
    let after = loop {
        let jobs = pages(&service);
        if jobs.values().all(is_end) {
            break jobs;
        }
        assert!(Instant::now() < until, "not all of them come to an end");
        std::thread::sleep(Duration::from_millis(300));
    };
    println!("all ended {:.1} s after the first was sent", begun.elapsed().as_secs_f64());

    assert_eq!(after.len(), count, "there are more or fewer jobs than were accepted");
    let (mut again, mut ended_before) = (0, 0);
    let mut connection = Connection::open(service.address).expect("the service listens");
    for (id, mark) in ids.iter().zip(&marks) {
        let listed = after.get(id).unwrap_or_else(|| panic!("{mark} is lost: {id}"));
        let reply = connection.get(&format!("/v1/jobs/{id}")).expect("the service answers");
        let job: Value = serde_json::from_slice(&reply.body).expect("a job is JSON");
        assert_eq!(
            (&job["status"], &job["trace_id"], &job["outcome"]["trace_id"], &job["outcome"]["stdout"]),
            (&"done".into(), &mark.as_str().into(), &mark.as_str().into(), &format!("hello {mark}\n").into()),
            "{job}"
        );
        let attempts = job["attempts"].as_u64().expect("a number");
        assert!((1..=2).contains(&attempts), "killed once, and begun {attempts} times: {job}");
        again += usize::from(attempts == 2);
        // What had ended is not run again, and stays as it was told.
        if let Some(then) = before.get(id).filter(|job| is_end(job)) {
            ended_before += 1;
            assert_eq!(then, listed, "{mark} has changed after its end");
        }
    }
    println!("{ended_before} had ended before the kill, {again} were interrupted by it and run again");
    // Those that ran beside the one in the middle may have been begun before it, and may not have ended.
    assert!(count / 3 <= ended_before && ended_before < count, "the kill came too early or too late");
    service.stop();
    host.assert_nothing_left();
}

fn start(state: &Path, allowed: Duration) -> Service {
    let call = firebox().env("FIREBOX_STATE", state.join("state")).within(allowed * 2);
    Service::of(call.args(["serve", "--listen", "127.0.0.1:0", "--languages", "bash", "--jobs-queue", "10000"]).start())
}

/// The ids of jobs that are on disk now.
fn submitted(service: &Service, number: usize, marks: &[String]) -> Vec<String> {
    let jobs: Vec<Value> = marks
        .iter()
        .map(|mark| json!({"trace_id": mark, "lang": "bash", "code": format!("echo hello {mark}")}))
        .collect();
    let key = format!("idempotency-key: batch-{number}");
    let request = service.post("/v1/jobs/batch", json!({"jobs": jobs}).to_string()).with(&["--header", &key]);
    let answer = request.answer();
    assert_eq!(answer.code, 202, "{answer:?}");
    let jobs = answer.json()["jobs"].as_array().cloned().unwrap_or_default();
    assert_eq!(jobs.len(), marks.len(), "{answer:?}");
    for (job, mark) in jobs.iter().zip(marks) {
        assert_eq!(job["trace_id"], mark.as_str(), "not in the order in which they were sent");
    }
    jobs.iter().map(|job| job["id"].as_str().expect("a text").to_owned()).collect()
}

/// Every job that there is, by its id; none twice.
fn pages(service: &Service) -> BTreeMap<String, Value> {
    let mut connection = Connection::open(service.address).expect("the service listens");
    let (mut all, mut after) = (BTreeMap::new(), String::new());
    loop {
        let reply = connection.get(&format!("/v1/jobs?limit=1000{after}")).expect("the service answers");
        assert_eq!(reply.code, 200, "{}", reply.text());
        let page: Value = serde_json::from_slice(&reply.body).expect("a page is JSON");
        for job in page["jobs"].as_array().expect("a list") {
            let id = job["id"].as_str().expect("a text").to_owned();
            assert!(all.insert(id, job.clone()).is_none(), "on two pages: {job}");
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return all,
        }
    }
}

fn is_end(job: &Value) -> bool {
    !matches!(job["status"].as_str(), Some("queued" | "running"))
}

fn wait_for_end(service: &Service, id: &str, allowed: Duration) {
    let until = Instant::now() + allowed;
    let mut connection = Connection::open(service.address).expect("the service listens");
    loop {
        let reply = connection.get(&format!("/v1/jobs/{id}?wait=30s")).expect("the service answers");
        if is_end(&serde_json::from_slice(&reply.body).expect("a job is JSON")) {
            return;
        }
        assert!(Instant::now() < until, "it does not end: {}", reply.text());
    }
}
