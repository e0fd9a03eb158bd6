//! Images as `firebox rootfs` shows them.

use firebox_image::{ImageName, Record};
use serde::Serialize;

use crate::rootfs::told::printable;
use crate::table::table;

/// An image, as data.
#[derive(Debug, Serialize)]
pub(super) struct ListedImage {
    name: String,
    /// As it was asked for.
    image: String,
    platform: String,
    /// What its root filesystem takes.
    bytes: u64,
    entries: u64,
    manifest: String,
    config: String,
    tree: String,
    layers: Vec<ListedLayer>,
    environment: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ListedLayer {
    blob: String,
    archive: String,
}

impl ListedImage {
    pub(super) fn of(name: &ImageName, record: &Record) -> ListedImage {
        // Exhaustive: what else is known of an image has to be decided here.
        let Record { source, manifest, config, layers, tree, bytes, entries, platform, environment } = record.clone();
        let layers =
            layers.iter().map(|layer| ListedLayer { blob: layer.blob.to_string(), archive: layer.archive.to_string() });
        ListedImage {
            name: name.to_string(),
            image: source,
            platform,
            bytes,
            entries,
            manifest: manifest.to_string(),
            config: config.to_string(),
            tree: tree.to_string(),
            layers: layers.collect(),
            environment,
        }
    }
}

/// One line for each.
pub(super) fn in_table(images: &[ListedImage]) -> String {
    let mut rows = vec![["NAME", "SIZE", "ENTRIES", "PLATFORM", "IMAGE"].map(str::to_owned)];
    for image in images {
        rows.push([
            image.name.clone(),
            size(image.bytes),
            image.entries.to_string(),
            printable(&image.platform),
            printable(&image.image),
        ]);
    }
    table(&rows)
}

/// All that is known of one.
pub(super) fn in_lines(image: &ListedImage) -> String {
    let mut rows = vec![
        ["name".to_owned(), image.name.clone()],
        ["image".to_owned(), printable(&image.image)],
        ["platform".to_owned(), printable(&image.platform)],
        ["size".to_owned(), size(image.bytes)],
        ["entries".to_owned(), image.entries.to_string()],
        ["manifest".to_owned(), image.manifest.clone()],
        ["config".to_owned(), image.config.clone()],
        ["tree".to_owned(), image.tree.clone()],
    ];
    rows.extend(image.layers.iter().map(|layer| ["layer".to_owned(), layer.blob.clone()]));
    rows.extend(image.environment.iter().map(|variable| ["environment".to_owned(), printable(variable)]));
    table(&rows)
}

/// In MiB, and never less than it is.
pub(crate) fn size(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_says_of_itself_does_nothing_to_a_terminal() {
        let image = ListedImage {
            name: "x".to_owned(),
            image: "rust:alpine".to_owned(),
            platform: "linux/\u{1b}]0;gone\u{7}".to_owned(),
            bytes: (1 << 20) + 1,
            entries: 3,
            manifest: "m".to_owned(),
            config: "c".to_owned(),
            tree: "t".to_owned(),
            layers: vec![ListedLayer { blob: "b".to_owned(), archive: "a".to_owned() }],
            environment: vec!["A=\u{1b}[2J\n\u{9b}31m".to_owned()],
        };
        let shown = in_table(std::slice::from_ref(&image)) + &in_lines(&image);
        assert!(shown.chars().all(|character| character == '\n' || !character.is_control()), "{shown:?}");
        assert!(shown.contains("2 MiB"), "{shown}");
        assert!(shown.contains(r"environment  A=\u{1b}[2J\u{a}\u{9b}31m"), "{shown}");
    }
}
