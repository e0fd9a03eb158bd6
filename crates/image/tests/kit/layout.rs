//! A directory of images as OCI has it, written by hand: what no tool at hand writes.

use std::path::{Path, PathBuf};

use firebox_image::Digest;

use super::{run, text};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The directory, which is somebody else's to remove.
pub(crate) struct Layout(PathBuf);

/// One thing in it: its digest, and what others say of it.
#[derive(Clone)]
pub(crate) struct Put {
    pub(crate) digest: Digest,
    kind: &'static str,
    size: usize,
}

impl Put {
    fn described(&self, more: &str) -> String {
        let Put { digest, kind, size } = self;
        format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}{more}}}"#)
    }

    /// For a machine, in an index.
    pub(crate) fn of(&self, os: &str, architecture: &str) -> String {
        self.described(&format!(r#","platform":{{"os":"{os}","architecture":"{architecture}"}}"#))
    }

    /// For a machine that is not said.
    pub(crate) fn of_nothing(&self) -> String {
        self.described("")
    }
}

impl Layout {
    pub(crate) fn new(place: PathBuf) -> Layout {
        std::fs::create_dir_all(place.join("blobs/sha256")).unwrap();
        std::fs::write(place.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Layout(place)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.0.join("blobs/sha256").join(digest.hex())
    }

    fn put(&self, kind: &'static str, bytes: &[u8]) -> Put {
        let digest = Digest::of(bytes);
        std::fs::write(self.blob(&digest), bytes).unwrap();
        Put { digest, kind, size: bytes.len() }
    }

    /// An image for a machine: of one layer with the file `machine`, which says for which, and has the note `kept`.
    pub(crate) fn image(&self, architecture: &str) -> Put {
        let (files, archive) = (self.0.join("files"), self.0.join("layer.tar"));
        std::fs::create_dir_all(&files).unwrap();
        std::fs::write(files.join("machine"), architecture).unwrap();
        let note = "--pax-option=SCHILY.xattr.user.note:=kept";
        run("tar", &["--format=posix", note, "-C", text(&files), "-cf", text(&archive), "machine"]);
        let layer = self.put(LAYER, &std::fs::read(&archive).unwrap());
        std::fs::remove_dir_all(files).unwrap();
        std::fs::remove_file(archive).unwrap();
        self.manifest("linux", architecture, &[layer])
    }

    /// An image for a machine: of a layer for each of these scripts, which make what is in it. All of it has the note `kept`.
    pub(crate) fn image_of(&self, architecture: &str, scripts: &[&str]) -> Put {
        let layer = |script: &&str| {
            let (files, archive) = (self.0.join("files"), self.0.join("layer.tar"));
            std::fs::create_dir(&files).unwrap();
            run("sh", &["-ec", &format!("cd \"$0\"\n{script}"), text(&files)]);
            // In their order, whatever the filesystem's is: the same image each time.
            let order = ["--sort=name", "--format=posix", "--pax-option=SCHILY.xattr.user.note:=kept"];
            run("tar", &[&order[..], &["-C", text(&files), "-cf", text(&archive), "."]].concat());
            let layer = self.put(LAYER, &std::fs::read(&archive).unwrap());
            std::fs::remove_dir_all(files).unwrap();
            std::fs::remove_file(archive).unwrap();
            layer
        };
        self.manifest("linux", architecture, &scripts.iter().map(layer).collect::<Vec<_>>())
    }

    /// What tools that build images put beside them: it looks like an image and says how another was made.
    pub(crate) fn attestation(&self) -> Put {
        let statement = self.put("application/vnd.in-toto+json", br#"{"_type":"https://in-toto.io/Statement/v0.1"}"#);
        self.manifest("unknown", "unknown", &[statement])
    }

    fn manifest(&self, os: &str, architecture: &str, layers: &[Put]) -> Put {
        let ids: Vec<_> = layers.iter().map(|layer| format!("\"{}\"", layer.digest)).collect();
        let ids = ids.join(",");
        let config = self.put(CONFIG, format!(
            r#"{{"os":"{os}","architecture":"{architecture}","rootfs":{{"type":"layers","diff_ids":[{ids}]}},"config":{{}}}}"#
        ).as_bytes());
        let layers: Vec<_> = layers.iter().map(|layer| layer.described("")).collect();
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{},"layers":[{}]}}"#,
            config.described(""),
            layers.join(",")
        );
        self.put(MANIFEST, manifest.as_bytes())
    }

    pub(crate) fn index(&self, entries: &[String]) -> Put {
        let entries = entries.join(",");
        self.put(INDEX, format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{entries}]}}"#).as_bytes())
    }

    /// Has a name stand for something.
    pub(crate) fn call(&self, put: &Put, tag: &str) {
        let entry = put.described(&format!(r#","annotations":{{"org.opencontainers.image.ref.name":"{tag}"}}"#));
        let all = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{entry}]}}"#);
        std::fs::write(self.0.join("index.json"), all).unwrap();
    }
}
