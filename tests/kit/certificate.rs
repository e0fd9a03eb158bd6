//! A certificate that its owner has signed, for a service on this host.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{temp_dir, tool};

/// A certificate and its key, in a directory that goes with it.
pub(crate) struct Certificate {
    directory: tempfile::TempDir,
}

impl Certificate {
    /// For `127.0.0.1`, under this name.
    pub(crate) fn of(name: &str) -> Certificate {
        Certificate::with(name, "IP:127.0.0.1", "")
    }

    /// The same, and it signs no others.
    pub(crate) fn of_a_server(name: &str) -> Certificate {
        Certificate::of_servers(name, "IP:127.0.0.1")
    }

    /// One that signs no others, for whatever is named so: `DNS:a.example,IP:127.0.0.1`.
    pub(crate) fn of_servers(name: &str, hosts: &str) -> Certificate {
        Certificate::with(name, hosts, "basicConstraints = critical, CA:FALSE")
    }

    fn with(name: &str, hosts: &str, extension: &str) -> Certificate {
        let directory = temp_dir();
        let config = format!(
            "[req]\ndistinguished_name = name\nx509_extensions = extensions\n[name]\n[extensions]\n\
             subjectAltName = {hosts}\n{extension}\n"
        );
        std::fs::write(directory.path().join("config"), config).expect("a file can be written");
        let done = Command::new(tool("openssl"))
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"])
            .args([
                "-keyout",
                "key.pem",
                "-out",
                "certificate.pem",
                "-subj",
                &format!("/CN={name}"),
                "-config",
                "config",
            ])
            .current_dir(directory.path())
            .output()
            .expect("openssl runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Certificate { directory }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("certificate.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    /// Puts it where another one is.
    pub(crate) fn replace(&self, certificate: &Path, key: &Path) {
        std::fs::copy(self.path(), certificate).expect("a certificate can be copied");
        std::fs::copy(self.key(), key).expect("a key can be copied");
    }
}
