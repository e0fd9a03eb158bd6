//! Azurite, Microsoft's own server of Azure Blob Storage for tests, on this host, for one test.

use std::path::Path;
use std::process::Command;

use super::server::{Says, Server};
use super::{run, skipped, text};

/// Says where it is.
const PROGRAM: &str = "FIREBOX_TEST_AZURE";

/// Asks for a container: signed, as Azure has it.
const MAKE_CONTAINER: &str = r#"
    const [host, account, key, container] = process.argv.slice(1);
    const date = new Date().toUTCString(), version = "2023-11-03", path = `/${account}/${container}`;
    const said = ["PUT", ...Array(11).fill(""), `x-ms-date:${date}`, `x-ms-version:${version}`,
        `/${account}${path}`, "restype:container"].join("\n");
    const hmac = require("crypto").createHmac("sha256", Buffer.from(key, "base64")).update(said).digest("base64");
    const headers = { "x-ms-date": date, "x-ms-version": version, authorization: `SharedKey ${account}:${hmac}` };
    const [name, port] = host.split(":");
    const request = { method: "PUT", host: name, port, path: `${path}?restype=container`, headers };
    require("http").request(request, answer => process.exit(answer.statusCode == 201 ? 0 : 1)).end();
"#;

/// A server that ends with the test.
pub(crate) struct RealAzure {
    _server: Server,
    /// `HOST:PORT`.
    pub(crate) host: String,
}

impl RealAzure {
    pub(crate) const ACCOUNT: &str = "fireboxes";
    /// In Base64, as keys of Azure are.
    pub(crate) const KEY: &str = "YS1zZWNyZXQtdGhhdC1ub2JvZHktaXMtdG9sZA==";
    pub(crate) const OTHER_KEY: &str = "YW5vdGhlci1vbmU=";

    /// None where it is not installed, which is said: `cargo xtask test` installs it.
    pub(crate) fn start(directory: &Path) -> Option<RealAzure> {
        let Some(program) = std::env::var_os(PROGRAM) else {
            skipped(&format!("azurite is not installed: {PROGRAM} would say where"));
            return None;
        };
        let place = directory.join("azurite");
        std::fs::create_dir_all(&place).unwrap();
        let mut azurite = Command::new(program);
        azurite
            .args(["--blobHost", "127.0.0.1", "--blobPort", "0", "--silent", "--disableTelemetry"])
            .args(["--location", text(&place)])
            .env("AZURITE_ACCOUNTS", format!("{}:{}", RealAzure::ACCOUNT, RealAzure::KEY));
        let (server, host) = Server::start(&mut azurite, &Says::Output, |line| {
            Some(line.split_once("listens on http://")?.1.trim_end_matches('/').to_owned())
        })
        .expect("azurite ended before it listened");
        Some(RealAzure { _server: server, host })
    }

    pub(crate) fn make_container(&self, name: &str) {
        run("node", &["-e", MAKE_CONTAINER, &self.host, RealAzure::ACCOUNT, RealAzure::KEY, name]);
    }

    /// What the environment says to whoever uses it.
    pub(crate) fn variables(at: &str) -> Vec<(String, String)> {
        let variables = [
            ("AZURE_STORAGE_ENDPOINT", format!("http://{at}/{}", RealAzure::ACCOUNT)),
            ("AZURE_STORAGE_ACCOUNT_NAME", RealAzure::ACCOUNT.to_owned()),
            ("AZURE_STORAGE_ACCOUNT_KEY", RealAzure::KEY.to_owned()),
        ];
        variables.map(|(name, value)| (name.to_owned(), value)).into()
    }
}
