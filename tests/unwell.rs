//! A service that cannot run jobs any more: it stays to say so, to whoever asks how it is and to whoever sends a job.

mod kit;

use std::time::{Duration, Instant};

use kit::{HostInventory, Lineage, MOMENT, Role, Service, family, firebox};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Kills the warden of a service, which alone makes cells, and returns when it is gone.
fn kill_warden(service: &Service) {
    let wardens = || family(service.call.pid(), Lineage::Jail).into_iter().filter(|member| member.role == Role::Warden);
    let warden = wardens().next().expect("a service has a warden");
    assert!(warden.kill(), "it was gone already");
    let until = Instant::now() + MOMENT;
    while warden.parent().is_some() {
        assert!(Instant::now() < until, "it is still there");
        std::thread::yield_now();
    }
}

/// What is reported when the service has noticed: an answer stays true for a second.
fn unhealthy(service: &Service) -> Value {
    let until = Instant::now() + MOMENT;
    loop {
        let answer = service.get("/health").answer();
        if answer.code == 503 {
            return answer.json();
        }
        assert_eq!(answer.code, 200, "{answer:?}");
        assert!(Instant::now() < until, "it still says that it is well: {answer:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn without_a_warden_it_says_why_no_job_runs_and_each_job_where_to_look() {
    let host = HostInventory::take();
    // Whether or not cells wait that were made before.
    for warm in ["0", "1"] {
        let service = Service::start(&["--languages", "bash", "--warm", warm]);
        let request = json!({"trace_id": "before", "lang": "bash", "code": "echo hello"});
        assert_eq!(service.execute(&request).answer().json()["stdout"], "hello\n");
        assert_eq!(service.get("/health").answer().code, 200);
        kill_warden(&service);

        let report = unhealthy(&service);
        assert_eq!(report["status"], "unhealthy", "{report}");
        let reasons = report["reasons"].as_array().unwrap_or_else(|| panic!("no reasons: {report}"));
        let said = |reason: &Value| reason.as_str().is_some_and(|reason| reason.contains("no cell can be made"));
        assert!(reasons.len() == 1 && reasons.iter().all(said), "{report}");

        // The client learns whose fault it is and by which name the operator finds it.
        let answer = service.execute(&json!({"lang": "bash", "code": "echo hello"})).answer();
        let refused = answer.json();
        assert_eq!((answer.code, &refused["error"]["code"]), (500, &"fault".into()), "{answer:?}");
        let trace_id = refused["trace_id"].as_str().unwrap_or_else(|| panic!("no name: {answer:?}")).to_owned();

        let accepted = service.post("/v1/jobs", json!({"lang": "bash", "code": "echo hello"}).to_string()).answer();
        assert_eq!(accepted.code, 202, "{accepted:?}");
        let accepted = accepted.json();
        let id = accepted["id"].as_str().unwrap_or_else(|| panic!("no id: {accepted}"));
        let job = service.get(&format!("/v1/jobs/{id}?wait=20s")).answer().json();
        assert_eq!((&job["status"], &job["error"]["code"]), (&"failed".into(), &"fault".into()), "{job}");

        service.call.signal(Signal::TERM);
        let (ended, guard) = service.call.wait_keeping_guard();
        // No process: control groups that a killed warden leaves are the next start's to remove.
        assert!(guard.processes().is_empty(), "{:?}: {ended}", guard.contents());
        let log = ended.stderr();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let of = |name: &Value| {
            lines
                .clone()
                .filter(|line| line["level"] == "ERROR" && line.to_string().contains(name.as_str().expect("a name")))
                .count()
        };
        for name in [&Value::from(trace_id), &accepted["trace_id"]] {
            assert_eq!(of(name), 1, "{name}: {ended}");
        }
        let next = firebox().args(["run", "--lang", "bash", "--code", "echo hello"]).run();
        assert_eq!(next.stdout(), "hello\n", "{next}");
    }
    host.assert_nothing_left();
}
