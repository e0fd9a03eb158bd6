//! Debian's `docker-registry`, on this host, for one test.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::server::{Says, Server};
use super::{run, text};

/// A registry that ends with the test.
pub(crate) struct RealRegistry {
    _server: Server,
    pub(crate) host: String,
    /// A credentials file without a login, in place of the one that this user may have.
    logins: PathBuf,
}

/// What a registry may want of who asks.
pub(crate) enum Wants {
    Nothing,
    Password {
        name: &'static str,
        password: &'static str,
    },
    /// TLS, with a certificate of the authority whose own is `authority.pem` in the test's directory.
    Tls,
}

/// How often it is tried to find it a port.
const TRIES: u32 = 5;

impl RealRegistry {
    pub(crate) fn start(directory: &Path, wants: &Wants) -> RealRegistry {
        let address = match wants {
            Wants::Tls => own_address().unwrap(),
            _ => IpAddr::from([127, 0, 0, 1]),
        };
        let more = RealRegistry::what_it_wants(directory, wants, address);
        // A port that is free now may be somebody else's before it listens there.
        let started = (0..TRIES).find_map(|_| {
            let free = TcpListener::bind((address, 0)).unwrap().local_addr().unwrap();
            RealRegistry::listen(directory, free, &more)
        });
        started.unwrap_or_else(|| panic!("the registry ended {TRIES} times before it listened"))
    }

    fn what_it_wants(directory: &Path, wants: &Wants, address: IpAddr) -> String {
        match wants {
            Wants::Nothing => String::new(),
            Wants::Password { name, password } => {
                let file = directory.join("htpasswd");
                std::fs::write(&file, run("htpasswd", &["-nbB", name, password])).unwrap();
                format!("auth:\n  htpasswd:\n    realm: here\n    path: {}\n", text(&file))
            }
            Wants::Tls => {
                let (key, certificate) = (directory.join("key.pem"), directory.join("certificate.pem"));
                certify(address, &key, &certificate);
                format!("  tls:\n    certificate: {}\n    key: {}\n", text(&certificate), text(&key))
            }
        }
    }

    /// Starts it there, unless it ends at once. `more` is what follows in the part on HTTP.
    fn listen(directory: &Path, at: SocketAddr, more: &str) -> Option<RealRegistry> {
        let storage = directory.join("registry");
        std::fs::create_dir_all(&storage).unwrap();
        let config = directory.join("config.yml");
        let storage = text(&storage);
        std::fs::write(&config, format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {storage}\nhttp:\n  addr: {at}\n{more}"
        )).unwrap();
        let mut registry = Command::new("docker-registry");
        registry.args(["serve", text(&config)]);
        let (server, host) =
            Server::start(&mut registry, &Says::Errors, |line| line.contains("listening on").then(|| at.to_string()))?;
        let logins = directory.join("logins.json");
        std::fs::write(&logins, "{}").unwrap();
        Some(RealRegistry { _server: server, host, logins })
    }

    /// Puts an image there, by `skopeo`.
    pub(crate) fn push(&self, oci: &str, name: &str, more: &[&str]) {
        let to = format!("docker://{}/{name}", self.host);
        run(
            "skopeo",
            &[&["copy", "--dest-tls-verify=false", "--dest-authfile", text(&self.logins)], more, &[oci, &to]].concat(),
        );
    }
}

/// The address by which this host is known to others, if it has one: one that nobody takes for this host itself. Asks nobody.
pub(crate) fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect(SocketAddr::from(([192, 0, 2, 1], 9))).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// A certificate for an address, and beside it that of the authority which gave it.
fn certify(address: IpAddr, key: &Path, certificate: &Path) {
    let beside = |name: &str| text(&certificate.with_file_name(name)).to_owned();
    let (authority_key, authority, request, names) =
        (beside("authority.key"), beside("authority.pem"), beside("request.pem"), beside("names"));
    let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let own = ["-x509", "-days", "2", "-subj", "/CN=authority", "-keyout", &authority_key, "-out", &authority];
    run("openssl", &[&["req"], &new_key[..], &own].concat());
    let other = ["-subj", "/CN=registry", "-keyout", text(key), "-out", &request];
    run("openssl", &[&["req"], &new_key[..], &other].concat());
    std::fs::write(&names, format!("subjectAltName=IP:{address}\n")).unwrap();
    let signed = ["-CAcreateserial", "-days", "2", "-extfile", &names, "-out", text(certificate)];
    let words = ["x509", "-req", "-in", &request, "-CA", &authority, "-CAkey", &authority_key];
    run("openssl", &[&words[..], &signed].concat());
}
