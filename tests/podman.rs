//! Firebox in a container as podman makes it by default: without privileges, and with a system call filter of podman's.
//!
//! The container's root is the host's own under a layer that takes all writing, so no image has to come from anywhere.
//! Its network is none, which changes nothing of what Firebox looks at.

mod kit;

use kit::{HostInventory, Podman, Secret, repository};
use serde_json::Value;

const HELLO_IN_C: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); }";

#[test]
fn in_a_container_of_podmans_there_is_a_jail_or_a_fence_and_firebox_says_which() {
    let host = HostInventory::take();
    let Some(podman) = Podman::new("in_a_container_of_podmans") else {
        host.assert_nothing_left();
        return;
    };
    let secret = Secret::new();
    let control = podman.run(&["--user=0:0"], &["cat", &secret.path().display().to_string()]);
    assert!(control.stdout().contains(&secret.word), "not even the container's root can read it\n{control}");
    for user in ["--user=0:0", "--user=65534:65534"] {
        for (language, code) in [("bash", "echo hello"), ("c", HELLO_IN_C), ("python", "print('hello')")] {
            let call = podman.firebox(&[user], &["--json", "--lang", language, "--code", code]);
            let outcome: Value = serde_json::from_slice(&call.stdout).unwrap_or_else(|_| panic!("no outcome\n{call}"));
            assert_eq!((&outcome["status"], &outcome["stdout"]), (&"ok".into(), &"hello\n".into()), "{call}");
            let said = call.stderr();
            let said: Vec<&str> = said.lines().filter(|line| line.starts_with("firebox:")).collect();
            match outcome["isolation"].as_str() {
                Some("jail") => assert_eq!(said, [""; 0], "{call}"),
                Some("fence") => assert!(said.len() == 1 && said[0].contains("weaker than a jail: cannot"), "{call}"),
                other => panic!("isolation {other:?}\n{call}"),
            }
        }
        // Root's own files are in reach of neither, and nobody's program changes a device.
        let path = secret.path().display().to_string();
        let code = format!("cat {path}; chmod 600 /dev/null; echo over");
        let call = podman.firebox(&[user], &["--lang", "bash", "--code", &code]);
        assert_eq!(call.code(), 0, "{call}");
        assert!(call.stdout() == "over\n" && !call.stderr().contains(&secret.word), "{call}");
    }
    drop(podman);
    host.assert_nothing_left();
}

#[test]
fn a_plain_container_serves_in_a_fence_where_that_was_said_and_not_at_all_otherwise() {
    let host = HostInventory::take();
    let Some(podman) = Podman::new("a_plain_container_serves") else {
        host.assert_nothing_left();
        return;
    };
    // The words that are published, for an image whose entry point is the binary.
    let page = std::fs::read_to_string(repository("packaging/container/README.md")).expect("it can be read");
    let published = page
        .lines()
        .find(|line| line.contains("--allow-fence") && line.starts_with("podman run "))
        .expect("it stands there");
    let (_, words) = published.split_once(" firebox ").expect("the image comes before what it is told");
    let program = podman.program().display().to_string();
    let user = "--user=65534:65534";
    let serve = |words: &str| {
        format!(
            "{program} {words} --languages bash & \
             until curl --silent --fail localhost:8080/health; do kill -0 $! || {{ wait $!; exit; }}; sleep 0.1; done; \
             curl --silent localhost:8080/v1/execute -H 'content-type: application/json' \
               -d '{{\"lang\": \"bash\", \"code\": \"echo served\"}}'; kill $!; wait $!"
        )
    };
    let served = podman.run(&[user], &["sh", "-c", &serve(words)]);
    assert_eq!(served.code(), 0, "{served}");
    assert!(
        served.stdout().contains(r#""stdout":"served\n""#) && served.stdout().contains(r#""isolation":"fence""#),
        "{served}"
    );
    let refused = podman.run(&[user], &["sh", "-c", &serve(&words.replace(" --allow-fence", ""))]);
    assert!(refused.code() != 0 && refused.stdout().is_empty(), "{refused}");
    assert!(refused.stderr().contains("--allow-fence"), "{refused}");
    drop(podman);
    host.assert_nothing_left();
}
