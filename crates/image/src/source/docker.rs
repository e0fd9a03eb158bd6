//! `docker-archive:FILE`: what `docker save` writes.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bounds::Bounds;
use crate::digest::{Digest, DigestingReader};
use crate::document::{Descriptor, DocumentError};
use crate::reference::Reference;
use crate::source::archive::Members;
use crate::source::{Source, SourceError, read_bounded};

/// One image of such an archive, with a manifest of our making: these archives have none that registries would know.
pub struct DockerArchive {
    members: Members,
    manifest: Vec<u8>,
    /// Which member has what content.
    blobs: HashMap<Digest, String>,
}

/// What `manifest.json` says of an image.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    schema_version: u8,
    media_type: &'static str,
    config: MadeDescriptor,
    layers: Vec<MadeDescriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MadeDescriptor {
    media_type: &'static str,
    digest: String,
    size: u64,
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

impl DockerArchive {
    /// Opens an archive; `tag` says which of its images is meant, if it has several. Reads all of that image, since
    /// the archive does not say what its layers hash to as they are stored.
    pub fn open(path: &Path, tag: Option<&str>) -> Result<DockerArchive, SourceError> {
        let members = Members::of(path)?;
        let bounds = Bounds::default();
        let text = read_bounded(members.read(b"manifest.json", 0)?, "manifest", bounds.document)?;
        let listed: Vec<Listed> =
            serde_json::from_slice(&text).map_err(|source| DocumentError::Malformed { what: "manifest", source })?;
        let chosen = choose(&members, listed, tag)?;
        let layers = chosen.layers.len();
        if bounds.layers < layers {
            return Err(SourceError::TooLong { what: "list of layers", most: bounds.layers as u64 });
        }
        let mut blobs = HashMap::new();
        let mut described = |media_type, name: String| {
            let size = members.size(name.as_bytes())?;
            let mut reader = DigestingReader::new(members.read(name.as_bytes(), 0)?);
            let read = io::copy(&mut reader, &mut io::sink());
            read.map_err(|source| SourceError::File { path: path.to_owned(), source })?;
            let digest = reader.finish().0;
            blobs.insert(digest, name);
            Ok::<_, SourceError>(MadeDescriptor { media_type, digest: digest.to_string(), size })
        };
        let made = Made {
            schema_version: 2,
            media_type: MANIFEST,
            config: described(CONFIG, chosen.config)?,
            layers: chosen.layers.into_iter().map(|name| described(LAYER, name)).collect::<Result<_, _>>()?,
        };
        let manifest =
            serde_json::to_vec(&made).map_err(|source| DocumentError::Malformed { what: "manifest", source })?;
        Ok(DockerArchive { members, manifest, blobs })
    }
}

fn choose(members: &Members, mut listed: Vec<Listed>, tag: Option<&str>) -> Result<Listed, SourceError> {
    let place = members.path().display().to_string();
    let tags_of = |image: &Listed| image.repo_tags.clone().unwrap_or_default();
    let tags = listed.iter().flat_map(tags_of).collect::<Vec<_>>().join(", ");
    match tag {
        Some(tag) => {
            // Some write the registry that others leave out.
            let whole = tag.parse::<Reference>().ok();
            let is_it = |known: &String| known == tag || (whole.is_some() && known.parse().ok() == whole);
            let has = |image: &Listed| tags_of(image).iter().any(is_it);
            let what = format!("image `{tag}`; it has {tags}");
            listed.into_iter().find(has).ok_or(SourceError::Missing { place, what })
        }
        None if 1 < listed.len() => Err(SourceError::Several { place, tags }),
        None => listed.pop().ok_or(SourceError::Missing { place, what: "images".to_owned() }),
    }
}

impl Source for DockerArchive {
    fn root(&self, _most: u64) -> Result<Vec<u8>, SourceError> {
        Ok(self.manifest.clone())
    }

    fn document(&self, descriptor: &Descriptor, most: u64) -> Result<Vec<u8>, SourceError> {
        read_bounded(self.blob(descriptor, 0)?, "manifest", most)
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        let name = self.blobs.get(&descriptor.digest).ok_or_else(|| SourceError::Missing {
            place: self.members.path().display().to_string(),
            what: descriptor.digest.to_string(),
        })?;
        self.members.read(name.as_bytes(), from)
    }
}
