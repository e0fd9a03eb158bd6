//! A service that can run no job any more: it says so, ends as what did not end well, and leaves to its next start what it was
//! asked to keep.

mod kit;

use std::time::{Duration, Instant};

use kit::{HostInventory, Lineage, MOMENT, OrdinaryUser, Role, Service, family, firebox, temp_dir};
use serde_json::{Value, json};

/// How soon it ends by itself. Less than it would leave to jobs that run, of which there are none any more.
const SOON: Duration = Duration::from_secs(20);

/// Kills the warden of a service, which alone makes cells.
fn kill_warden(service: &Service) {
    let wardens = || family(service.call.pid(), Lineage::Jail).into_iter().filter(|member| member.role == Role::Warden);
    let warden = wardens().next().expect("a service has a warden");
    assert!(warden.kill(), "it was gone already");
}

fn submit(service: &Service, code: &str) -> String {
    service.submit(&json!({"lang": "bash", "code": code}))
}

/// Returns the job when it has this status.
fn wait_for(service: &Service, id: &str, status: &str) -> Value {
    let until = Instant::now() + MOMENT;
    loop {
        let job = service.get(&format!("/v1/jobs/{id}")).answer().json();
        if job["status"] == status {
            return job;
        }
        assert!(Instant::now() < until, "it is not {status}: {job}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn without_a_warden_it_ends_and_says_why_and_the_next_start_goes_on() {
    let host = HostInventory::take();
    // Whether or not cells wait that were made before.
    for warm in ["0", "1"] {
        let state = temp_dir();
        if let Some(user) = OrdinaryUser::where_nobody_is_named() {
            std::os::unix::fs::chown(state.path(), Some(user.uid), Some(user.uid)).expect("it can be given away");
        }
        let serve = || {
            let call = firebox().env("FIREBOX_STATE", state.path().join("state"));
            let call = call.args(["serve", "--listen", "127.0.0.1:0", "--languages", "bash", "--running", "2"]);
            Service::of(call.args(["--warm", warm, "--grace", "300s"]).start())
        };
        let service = serve();
        let kept = submit(&service, "sleep 3; echo kept");
        wait_for(&service, &kept, "running");
        let waited_for = json!({"trace_id": "waited-for", "lang": "bash", "code": "sleep 100"});
        let client = service.execute(&waited_for).start();
        let until = Instant::now() + MOMENT;
        while !service.get("/metrics").answer().body.contains("firebox_jobs_running 2") {
            assert!(Instant::now() < until, "it does not begin: {}", service.get("/metrics").answer().body);
            std::thread::sleep(Duration::from_millis(20));
        }
        let waiting: Vec<String> = (0..5).map(|number| submit(&service, &format!("echo {number}"))).collect();
        kill_warden(&service);

        assert!(service.call.ends_by(Instant::now() + SOON), "it goes on without a warden");
        let (ended, guard) = service.call.wait_keeping_guard();
        // No process: control groups that a killed warden leaves are the next start's to remove.
        assert!(guard.processes().is_empty(), "{:?}: {ended}", guard.contents());
        // Whoever started it sees that it did not end well, and starts it again.
        assert_eq!(ended.code(), 125, "{ended}");
        let log: Vec<Value> = ended.stderr().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let errors =
            |said: &str| log.iter().filter(|line| line["level"] == "ERROR" && line.to_string().contains(said)).count();
        assert_eq!(errors("the warden is gone, so no job runs any more"), 1, "{ended}");
        assert!(ended.stderr().lines().last().is_some_and(|line| line.contains("start the service again")), "{ended}");
        // Who waited learns whose fault it is and by which name the operator finds it.
        let said = client.wait_with_output().expect("curl ends").stdout;
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains(" 500 ") && said.contains("\"fault\"") && said.contains("waited-for"), "{said}");
        assert_eq!(errors("waited-for"), 1, "{ended}");

        let service = serve();
        let job = wait_for(&service, &kept, "done");
        // It may have been what the warden died of, so it counts that it was begun.
        assert_eq!((&job["outcome"]["stdout"], &job["attempts"]), (&"kept\n".into(), &2.into()), "{job}");
        for (number, id) in waiting.iter().enumerate() {
            let job = wait_for(&service, id, "done");
            assert_eq!(job["outcome"]["stdout"], format!("{number}\n"), "{job}");
        }
        service.stop();
    }
    host.assert_nothing_left();
}
