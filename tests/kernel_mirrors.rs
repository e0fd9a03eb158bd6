//! `firebox kernel fetch` from a mirror of Debian's archive: a small one, with Debian's own package, made and signed by real tools.

#[path = "../crates/vmm/tests/kit/debian.rs"]
mod debian;
#[path = "../crates/image/tests/kit/mod.rs"]
mod images;
mod kit;

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kit::{Firebox, firebox, temp_dir};
use serde_json::Value;

const TOOLS: [&str; 5] = ["gpg", "gpgv", "python3", "sha256sum", "xz"];
const SUITE: &str = "test";
const PACKAGE: &str = "pool/main/l/linux/linux-image.deb";
const LIST: &str = "main/binary-amd64/Packages.xz";

/// A mirror that is served on all of this host's addresses, and a directory for what firebox keeps.
struct Mirror {
    directory: tempfile::TempDir,
    server: Child,
    port: u16,
}

impl Mirror {
    /// None where there is no package or a tool is missing, which is said.
    fn start(test: &str) -> Option<Mirror> {
        if !images::has(&TOOLS) {
            return None;
        }
        let package = debian::package(test)?;
        let directory = temp_dir();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).unwrap();
        let root = directory.path().join("mirror");
        for folder in ["pool/main/l/linux", "dists/test/main/binary-amd64/by-hash/SHA256"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::copy(package, root.join(PACKAGE)).unwrap();
        let (server, port) = serve(&root);
        let mirror = Mirror { directory, server, port };
        mirror.make_key("debian");
        mirror.publish(&mirror.stanzas(), "debian");
        Some(mirror)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join("mirror").join(path)
    }

    fn key(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.gpg"))
    }

    fn gpg(&self, words: &[&str]) {
        let home = self.directory.path().join("gnupg");
        fs::create_dir_all(&home).unwrap();
        fs::set_permissions(&home, Permissions::from_mode(0o700)).unwrap();
        let always = [
            "--homedir",
            images::text(&home),
            "--batch",
            "--quiet",
            "--yes",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ];
        images::run("gpg", &[&always, words].concat());
    }

    fn make_key(&self, name: &str) {
        self.gpg(&["--quick-generate-key", name, "ed25519", "sign", "never"]);
        self.gpg(&["--output", images::text(&self.key(name)), "--export", name]);
        fs::set_permissions(self.key(name), Permissions::from_mode(0o644)).unwrap();
    }

    /// The two packages, as the archive's own list has them.
    fn stanzas(&self) -> String {
        let (digest, size) = known(&self.at(PACKAGE));
        let stanza = |name: &str, depends: &str, path: &str| {
            format!(
                "Package: {name}\nVersion: 6.1-1\nDepends: {depends}\nFilename: {path}\nSize: {size}\nSHA256: {digest}\n\n"
            )
        };
        stanza("linux-image-6.1-cloud-amd64", "kmod, linux-base (>= 4.3~)", PACKAGE)
            + &stanza("linux-image-cloud-amd64", "linux-image-6.1-cloud-amd64 (= 6.1-1)", "pool/none.deb")
    }

    /// Has the list say this, and the suite, signed by somebody, that this is its list.
    fn publish(&self, stanzas: &str, signer: &str) {
        let plain = self.at("dists/test/main/binary-amd64/Packages");
        fs::write(&plain, stanzas).unwrap();
        images::run("xz", &["--keep", "--force", images::text(&plain)]);
        let list = self.at("dists/test").join(LIST);
        let (digest, size) = known(&list);
        fs::copy(&list, self.at("dists/test/main/binary-amd64/by-hash/SHA256").join(&digest)).unwrap();
        let release = format!("Origin: Test\nSuite: test\nAcquire-By-Hash: yes\nSHA256:\n {digest} {size} {LIST}\n");
        let unsigned = self.directory.path().join("Release");
        fs::write(&unsigned, release).unwrap();
        let signed = self.at("dists/test/InRelease");
        self.gpg(&["--local-user", signer, "--clearsign", "--output", images::text(&signed), images::text(&unsigned)]);
    }

    fn call(&self, words: &[&str]) -> Firebox {
        let home = self.directory.path().join("home");
        firebox().args(["kernel", "--home", images::text(&home)]).args(words).env("NO_PROXY", "*")
    }

    fn fetch_by(&self, address: &str, more: &[&str]) -> Firebox {
        let mirror = format!("http://{address}:{}", self.port);
        self.call(&[&["fetch", "--mirror", &mirror, "--suite", SUITE, "--json"], more].concat())
    }

    fn fetch(&self) -> Firebox {
        self.fetch_by("127.0.0.1", &["--keyring", images::text(&self.key("debian"))])
    }

    /// With nobody to check a signature.
    fn fetch_unchecked(&self, address: &str) -> Firebox {
        self.fetch_by(address, &[]).env("PATH", "/nonexistent")
    }

    /// That it ends so, says that, and leaves nothing.
    fn refuses(&self, fetch: Firebox, code: i32, says: &[&str]) {
        let finished = fetch.run();
        assert_eq!(finished.code(), code, "{finished}");
        assert!(says.iter().all(|word| finished.stderr().contains(word)), "does not say {says:?}: {finished}");
        for what in ["names", "unpacked", "staging"] {
            let left = fs::read_dir(self.directory.path().join("home/kernels").join(what)).unwrap().count();
            assert_eq!(left, 0, "{what}: {finished}");
        }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        // The agent that keeps the keys ends with its directory.
        let _ = Command::new("gpgconf")
            .arg("--homedir")
            .arg(self.directory.path().join("gnupg"))
            .args(["--kill", "all"])
            .status();
    }
}

/// Serves a directory, and says at which port.
fn serve(root: &Path) -> (Child, u16) {
    served(&["-m", "http.server", "0", "--bind", "0.0.0.0", "--directory", images::text(root)])
}

/// Sends everybody on to this address.
fn send_on(to: &str) -> (Child, u16) {
    const SERVER: &str = "
import http.server, sys
class Onward(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.send_header('Location', sys.argv[1] + self.path)
        self.end_headers()
server = http.server.HTTPServer(('127.0.0.1', 0), Onward)
print('Serving on port', server.server_port, 'for ever')
server.serve_forever()";
    served(&["-c", SERVER, to])
}

fn served(words: &[&str]) -> (Child, u16) {
    let mut server = Command::new("python3")
        .arg("-u")
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    // Serving HTTP on 0.0.0.0 port 12345 (http://0.0.0.0:12345/) ...
    let port = line.split(" port ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
    (server, port.unwrap_or_else(|| panic!("the server says {line:?}")))
}

/// Its SHA-256, and how long it is.
fn known(path: &Path) -> (String, u64) {
    let says = images::run("sha256sum", &[images::text(path)]);
    (says.split(' ').next().unwrap().to_owned(), path.metadata().unwrap().len())
}

#[test]
fn what_is_signed_comes_in_and_it_is_said_that_it_was_checked() {
    let Some(mirror) = Mirror::start("what_is_signed_comes_in_and_it_is_said_that_it_was_checked") else { return };
    // What stands around it is not what was signed, and says nothing.
    let in_release = mirror.at("dists/test/InRelease");
    let signed = fs::read_to_string(&in_release).unwrap();
    let lie = format!("SHA256:\n {} 1 {LIST}\n", "0".repeat(64));
    fs::write(&in_release, format!("{lie}\n{signed}\n{lie}")).unwrap();
    let finished = mirror.fetch().run();
    assert_eq!(finished.code(), 0, "{finished}");
    assert!(finished.stderr().contains("what Debian has signed: `gpgv` has found that"), "{finished}");
    let kernel: Value = serde_json::from_slice(&finished.stdout).unwrap();
    assert_eq!(kernel["from"], format!("http://127.0.0.1:{}/{PACKAGE}", mirror.port));
    assert_eq!(kernel["package"], format!("sha256:{}", known(&mirror.at(PACKAGE)).0));
    assert_eq!(kernel["trust"], "signature");
    let staging = mirror.directory.path().join("home/kernels/staging");
    assert_eq!(fs::read_dir(staging).unwrap().count(), 0, "the package itself is not kept");
}

#[test]
fn how_far_it_is_is_for_terminals_alone() {
    let Some(mirror) = Mirror::start("how_far_it_is_is_for_terminals_alone") else { return };
    let quiet = mirror.fetch().run();
    assert!(quiet.code() == 0 && quiet.stderr().lines().count() == 1 && !quiet.stderr().contains('\r'), "{quiet}");

    let terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let python = kit::tool("python3").into_os_string();
    let watched = mirror.fetch().env("TERM", "xterm").through([python, "-c".into(), terminal.into()]);
    let watched = watched.within(Duration::from_secs(120)).run();
    assert_eq!(watched.code(), 0, "{watched}");
    let shown = watched.stdout();
    let steps = ["asking the mirror", "] 0 of ", "looking for the modules", "unpacking the kernel"];
    let places: Vec<usize> =
        steps.iter().map(|step| shown.find(step).unwrap_or_else(|| panic!("{step}: {watched}"))).collect();
    assert!(places.is_sorted(), "{places:?}: {watched}");
    let after = shown.rsplit("\r\u{1b}[K").next().unwrap_or_default();
    assert!(after.starts_with("firebox: the package is what Debian has signed"), "wiped before the end: {watched}");
}

#[test]
fn without_anybody_to_check_it_is_believed_who_is_here_and_that_is_said() {
    let Some(mirror) = Mirror::start("without_anybody_to_check_it_is_believed_who_is_here_and_that_is_said") else {
        return;
    };
    // One that is not its loopback's, if it has one.
    if let Some(address) = images::registry::own_address().filter(|address| !address.is_loopback()) {
        mirror.refuses(
            mirror.fetch_unchecked(&address.to_string()),
            125,
            &["is asked in plain text", "install `gpgv`"],
        );
        // Nor by way of somebody who is here.
        let (mut server, port) = send_on(&format!("http://{address}:{}", mirror.port));
        let here = format!("http://127.0.0.1:{port}");
        let words = ["fetch", "--mirror", &here, "--suite", SUITE];
        mirror.refuses(mirror.call(&words).env("PATH", "/nonexistent"), 125, &["which is not on this host"]);
        server.kill().and_then(|()| server.wait()).unwrap();
    }
    let finished = mirror.fetch_unchecked("127.0.0.1").run();
    assert_eq!(finished.code(), 0, "{finished}");
    assert!(finished.stderr().contains("no signature was checked"), "{finished}");
    assert!(finished.stdout().contains("\"trust\":\"mirror\""), "{finished}");
}

#[test]
fn a_mirror_that_lies_changes_nothing() {
    let Some(mirror) = Mirror::start("a_mirror_that_lies_changes_nothing") else { return };
    let in_release = mirror.at("dists/test/InRelease");
    let (signed, stanzas) = (fs::read_to_string(&in_release).unwrap(), mirror.stanzas());

    // The first document: another's, changed, not signed, cut, or with something around it.
    mirror.make_key("somebody");
    mirror.publish(&stanzas, "somebody");
    mirror.refuses(mirror.fetch(), 2, &["Debian has not signed", "No public key", "--keyring"]);
    let unsigned = signed.lines().skip(3).take_while(|line| !line.starts_with("-----")).collect::<Vec<_>>().join("\n");
    let another = signed.replace("Origin: Test", "Origin: Best");
    for document in [
        &another,
        &unsigned,
        &signed[..signed.len() / 2],
        "",
        &format!("Origin: Best\n{signed}").replace("SHA256:", "SHA1:"),
    ] {
        fs::write(&in_release, document).unwrap();
        mirror.refuses(mirror.fetch(), 2, &["Debian has not signed"]);
    }
    File::create(&in_release).unwrap().set_len(5 << 20).unwrap();
    mirror.refuses(mirror.fetch(), 125, &["InRelease` is longer than 4194304 bytes"]);
    fs::remove_file(&in_release).unwrap();
    mirror.refuses(mirror.fetch(), 2, &["InRelease` is answered with 404", "--suite"]);

    // The list: signed, and of no use.
    for (says, word) in [
        (stanzas.replace("linux-image-cloud-amd64", "linux-image-other"), "has no `linux-image-cloud-amd64`"),
        (stanzas.replace(PACKAGE, "../../../etc/passwd"), "does not say where"),
        (stanzas.replace("Size: ", "Size: 99"), "is the most for a kernel"),
    ] {
        mirror.publish(&says, "debian");
        mirror.refuses(mirror.fetch(), 2, &[word]);
    }
    // And the package: longer, shorter, or another of the same length.
    mirror.publish(&stanzas, "debian");
    let package = fs::read(mirror.at(PACKAGE)).unwrap();
    let mut changed = package.clone();
    changed[20_000_000] ^= 1;
    for other in [&[&package[..], b"x"].concat(), &package[..1000], &changed] {
        fs::write(mirror.at(PACKAGE), other).unwrap();
        mirror.refuses(mirror.fetch(), 125, &["is not what the mirror's list says"]);
    }
    // The list is another than the one that was signed.
    let list = known(&mirror.at("dists/test").join(LIST)).0;
    fs::write(mirror.at("dists/test/main/binary-amd64/by-hash/SHA256").join(list), "x").unwrap();
    mirror.refuses(mirror.fetch(), 125, &["is not what the mirror's list says"]);
}

#[test]
fn a_mirror_that_is_not_there_is_the_hosts_matter_and_says_what_else_there_is() {
    let home = temp_dir();
    let finished = firebox()
        .args([
            "kernel",
            "--home",
            images::text(home.path().join("home").as_path()),
            "fetch",
            "--mirror",
            "http://127.0.0.1:1",
        ])
        .run();
    assert_eq!(finished.code(), 125, "{finished}");
    assert!(finished.stderr().contains("cannot ask for `http://127.0.0.1:1/dists/bookworm/InRelease`"), "{finished}");
    assert!(finished.stderr().contains("`--from` takes a package"), "{finished}");
}
