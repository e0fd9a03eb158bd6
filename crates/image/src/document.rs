//! The JSON of registries: indexes, manifests, configurations. Hostile input: bounded, read strictly where it matters.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::digest::Digest;

/// What a document says of another thing: where to find it and how to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// What it has to hash to.
    pub digest: Digest,
    /// How long it has to be.
    pub size: u64,
}

/// For which machines an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// Such as `linux`.
    pub os: String,
    /// As Go calls it: `amd64`, `arm64`.
    pub architecture: String,
    /// Such as `v8`; often not said.
    pub variant: Option<String>,
}

impl Platform {
    /// What this host runs.
    pub fn of_this_host() -> Platform {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Platform { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    /// What stands beside images to say how they were made is for no machine, and says so.
    fn is_none(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// Whether an image for the other runs here. A variant that is not said is the usual one.
    fn runs(&self, other: &Platform) -> bool {
        let usual = |platform: &Platform| {
            let variant = platform.variant.clone();
            variant.or_else(|| (platform.architecture == "arm64").then(|| "v8".to_owned()))
        };
        (&self.os, &self.architecture) == (&other.os, &other.architecture) && usual(self) == usual(other)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// Text that names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no platform that images here are for: expected `linux/ARCHITECTURE`, such as `linux/arm64`, or `linux/arm/v7`"
)]
pub struct NoPlatform(pub String);

impl FromStr for Platform {
    type Err = NoPlatform;

    fn from_str(text: &str) -> Result<Platform, NoPlatform> {
        let is_word = |word: &&str| {
            let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            !word.is_empty() && word.len() <= 32 && word.bytes().all(is_letter)
        };
        let platform = || {
            let mut words = text.split('/');
            let os = words.next().filter(|os| *os == "linux")?.to_owned();
            let architecture = words.next().filter(is_word)?.to_owned();
            let variant = match words.next() {
                Some(variant) => Some(Some(variant).filter(is_word)?.to_owned()),
                None => None,
            };
            words.next().is_none().then_some(Platform { os, architecture, variant })
        };
        platform().ok_or_else(|| NoPlatform(text.chars().take(80).collect()))
    }
}

/// A document that is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is no JSON of the right shape.
    #[error("the {what} is malformed")]
    Malformed {
        /// Which document.
        what: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A digest of an algorithm that is not ours, or none at all.
    #[error("the {what} names `{digest}`, which is no SHA-256 digest")]
    Digest {
        /// Which document.
        what: &'static str,
        /// What it names.
        digest: String,
    },
    /// It could be read in two ways.
    #[error("the manifest is an index and a manifest at once, so it means different things to different tools")]
    Ambiguous,
    /// It is neither.
    #[error(
        "the manifest is of a kind that is not known here ({0}); registries that store images of the last ten years have others"
    )]
    Kind(String),
    /// An index of others, again and again.
    #[error("the image is behind an index of indexes of indexes, and is looked for no deeper")]
    Nested,
    /// Nothing for this machine.
    #[error("there is no image for {wanted}; there are {found}")]
    Platform {
        /// What was wanted.
        wanted: String,
        /// What there is.
        found: String,
    },
    /// An image whose parts do not fit.
    #[error("the manifest has {manifest} layers and the configuration {config}")]
    Layers {
        /// How many by the one.
        manifest: usize,
        /// How many by the other.
        config: usize,
    },
}

/// What stands behind a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Document {
    /// Images for several machines.
    Index(Vec<IndexEntry>),
    /// One image.
    Manifest(Manifest),
}

/// One of the images of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    /// Its manifest, or an index again.
    pub(crate) descriptor: Descriptor,
    /// For which machine, if that is said.
    pub(crate) platform: Option<Platform>,
    /// What it is called, in a directory of images.
    pub(crate) tag: Option<String>,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Its configuration.
    pub(crate) config: Descriptor,
    /// Its layers, the lowest first.
    pub(crate) layers: Vec<Descriptor>,
}

/// What of a configuration matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// For which machine it is.
    pub(crate) platform: Platform,
    /// `NAME=value`.
    pub(crate) environment: Vec<String>,
    /// What each layer's archive hashes to, the lowest first.
    pub(crate) archives: Vec<Digest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    media_type: Option<String>,
    manifests: Option<Vec<RawIndexEntry>>,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    schema_version: Option<u64>,
}

#[derive(Deserialize)]
struct RawDescriptor {
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
struct RawIndexEntry {
    digest: String,
    size: u64,
    platform: Option<RawPlatform>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RawPlatform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

#[derive(Deserialize)]
struct RawConfig {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    config: Option<RawRun>,
    rootfs: RawRootfs,
}

#[derive(Deserialize)]
struct RawRun {
    #[serde(rename = "Env")]
    environment: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RawRootfs {
    diff_ids: Vec<String>,
}

const TAG: &str = "org.opencontainers.image.ref.name";

impl RawDescriptor {
    fn read(self) -> Result<Descriptor, DocumentError> {
        Ok(Descriptor { digest: digest("manifest", &self.digest)?, size: self.size })
    }
}

impl RawPlatform {
    fn read(self) -> Platform {
        let RawPlatform { os, architecture, variant } = self;
        Platform { os, architecture, variant: variant.filter(|variant| !variant.is_empty()) }
    }
}

fn digest(what: &'static str, text: &str) -> Result<Digest, DocumentError> {
    text.parse().map_err(|_| DocumentError::Digest { what, digest: text.chars().take(80).collect() })
}

fn parse<'a, T: Deserialize<'a>>(what: &'static str, bytes: &'a [u8]) -> Result<T, DocumentError> {
    serde_json::from_slice(bytes).map_err(|source| DocumentError::Malformed { what, source })
}

impl Document {
    /// Reads an index or a manifest.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Document, DocumentError> {
        let RawDocument { media_type, manifests, config, layers, schema_version } = parse("manifest", bytes)?;
        match (manifests, config, layers) {
            (Some(entries), None, None) => {
                let entry = |entry: RawIndexEntry| {
                    let RawIndexEntry { digest, size, platform, mut annotations } = entry;
                    let descriptor = RawDescriptor { digest, size }.read()?;
                    let platform = platform.map(RawPlatform::read);
                    Ok(IndexEntry { descriptor, platform, tag: annotations.remove(TAG) })
                };
                Ok(Document::Index(entries.into_iter().map(entry).collect::<Result<_, DocumentError>>()?))
            }
            (None, Some(config), Some(layers)) => {
                let layers = layers.into_iter().map(RawDescriptor::read).collect::<Result<_, _>>()?;
                Ok(Document::Manifest(Manifest { config: config.read()?, layers }))
            }
            (Some(_), _, _) => Err(DocumentError::Ambiguous),
            _ => {
                let version = schema_version.map(|version| format!("schema version {version}"));
                let kind = media_type.or(version).unwrap_or_else(|| "it does not say".to_owned());
                Err(DocumentError::Kind(kind.chars().take(80).collect()))
            }
        }
    }
}

/// The entry of an index that runs on a machine.
pub(crate) fn choose<'a>(entries: &'a [IndexEntry], platform: &Platform) -> Result<&'a IndexEntry, DocumentError> {
    let fits = |entry: &&IndexEntry| entry.platform.as_ref().is_some_and(|other| platform.runs(other));
    if let Some(entry) = entries.iter().find(fits) {
        return Ok(entry);
    }
    // Whoever puts one image in a directory need not say for which machine it is.
    if let [only @ IndexEntry { platform: None, .. }] = entries {
        return Ok(only);
    }
    let platforms = entries.iter().filter_map(|entry| entry.platform.as_ref()).filter(|platform| !platform.is_none());
    let mut found: Vec<String> = platforms.take(20).map(Platform::to_string).collect();
    found.dedup();
    let found = if found.is_empty() { "none that say for which".to_owned() } else { found.join(", ") };
    Err(DocumentError::Platform { wanted: platform.to_string(), found })
}

impl Config {
    /// Reads a configuration.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Config, DocumentError> {
        let RawConfig { os, architecture, variant, config, rootfs } = parse("configuration", bytes)?;
        let (os, architecture) = (os.unwrap_or_default(), architecture.unwrap_or_default());
        Ok(Config {
            platform: RawPlatform { os, architecture, variant }.read(),
            environment: config.and_then(|run| run.environment).unwrap_or_default(),
            archives: rootfs.diff_ids.iter().map(|text| digest("configuration", text)).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_one_of_linux() {
        for text in ["linux/amd64", "linux/arm/v7"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in ["", "linux", "amd64", "linux/", "linux/arm/", "linux/arm/v7/x", "windows/amd64", "linux/\u{1b}[m"]
        {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    fn hex(letter: char) -> String {
        format!("sha256:{}", letter.to_string().repeat(64))
    }

    fn entry(architecture: &str, variant: Option<&str>, letter: char) -> String {
        let variant = variant.map_or(String::new(), |variant| format!(r#","variant":"{variant}""#));
        let digest = hex(letter);
        format!(
            r#"{{"mediaType":"x","digest":"{digest}","size":7,"platform":{{"os":"linux","architecture":"{architecture}"{variant}}}}}"#
        )
    }

    fn chosen(entries: &[String], architecture: &str) -> Result<Digest, DocumentError> {
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
        let Document::Index(entries) = Document::parse(text.as_bytes())? else { panic!("no index") };
        let platform = Platform { os: "linux".into(), architecture: architecture.into(), variant: None };
        choose(&entries, &platform).map(|entry| entry.descriptor.digest)
    }

    #[test]
    fn the_image_for_this_machine_is_chosen() {
        let all = [
            entry("unknown", None, '0'),
            entry("arm", Some("v7"), '1'),
            entry("arm64", Some("v8"), '2'),
            entry("amd64", Some("v3"), '3'),
            entry("amd64", None, '4'),
        ];
        assert_eq!(chosen(&all, "amd64").unwrap().to_string(), hex('4'));
        assert_eq!(chosen(&all, "arm64").unwrap().to_string(), hex('2'));
        let none = chosen(&all[..2], "amd64").unwrap_err().to_string();
        assert_eq!(none, "there is no image for linux/amd64; there are linux/unknown, linux/arm/v7");
        let beside = entry("unknown", None, '5').replace("linux", "unknown");
        let none = chosen(&[beside.clone(), all[1].clone(), beside.clone()], "amd64").unwrap_err().to_string();
        assert_eq!(none, "there is no image for linux/amd64; there are linux/arm/v7");
        let none = chosen(&[beside], "amd64").unwrap_err().to_string();
        assert_eq!(none, "there is no image for linux/amd64; there are none that say for which");
    }

    #[test]
    fn a_document_means_one_thing_to_everybody() {
        let descriptor = format!(r#"{{"digest":"{}","size":1}}"#, hex('a'));
        let both = format!(r#"{{"manifests":[],"config":{descriptor},"layers":[]}}"#);
        assert!(matches!(Document::parse(both.as_bytes()), Err(DocumentError::Ambiguous)));
        let twice = format!(r#"{{"config":{descriptor},"layers":[],"layers":[{descriptor}]}}"#);
        assert!(matches!(Document::parse(twice.as_bytes()), Err(DocumentError::Malformed { .. })));
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let bad_digest = r#"{"config":{"digest":"sha256:../../etc/passwd","size":1},"layers":[]}"#;
        let negative = format!(r#"{{"config":{{"digest":"{}","size":-1}},"layers":[]}}"#, hex('a'));
        let deep = format!("{}{}", r#"{"manifests":["#.repeat(5000), "]}".repeat(5000));
        for text in ["", "[]", "{}", r#"{"schemaVersion":1,"fsLayers":[]}"#, bad_digest, &negative, &deep] {
            assert!(Document::parse(text.as_bytes()).is_err(), "{text:.60}");
        }
        for text in ["", "{}", r#"{"rootfs":{"diff_ids":["md5:x"]}}"#] {
            assert!(Config::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_configuration_says_little_and_that_is_enough() {
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{}"]}},"history":[]}}"#,
            hex('b')
        );
        let config = Config::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (config.platform.to_string().as_str(), config.environment.len(), config.archives.len()),
            ("linux/amd64", 0, 1)
        );
    }
}
