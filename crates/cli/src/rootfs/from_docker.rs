//! `firebox rootfs from-docker`: a container image, taken in.

use std::env;

use anyhow::anyhow;
use firebox_image::{Credentials, ImageName, Patience, Platform, Request, Store, TakeInError, take_in};

use firebox_lang::{Catalogue, Language};

use crate::args::{FromDockerArgs, OriginArg};
use crate::failure::Failure;
use crate::outlet;
use crate::rootfs::disk::{disk, making_it};
use crate::rootfs::listed::{ListedImage, in_table};
use crate::rootfs::progress::Watch;
use crate::rootfs::told::told_of_image;
use crate::rootfs::unknown;

/// Takes it in, and shows what became of it.
pub(super) fn from_docker(store: &Store, args: FromDockerArgs, json: bool) -> Result<(), Failure> {
    // Exhaustive: a new flag must be decided here.
    let FromDockerArgs { name, image, size, platform, parallel, mirrors, credentials, for_microvms } = args;
    let OriginArg { text, origin } = image.map_or_else(|| image_of_language(&name), Ok)?;
    let credentials = match credentials {
        Some(file) => Credentials::read(file),
        None => Credentials::find(|name| env::var_os(name)),
    };
    let credentials = credentials.map_err(Failure::request)?;
    let opened = origin.open(&mirrors.unwrap_or_default(), &credentials, Patience::default());
    let source = opened.map_err(|error| told_of_image(error.into()))?;
    let request = Request {
        name,
        from: text,
        platform: platform.unwrap_or_else(Platform::of_this_host),
        size: u64::from(size) << 20,
        parallel: parallel.into(),
    };
    let record = taken(store, &*source, &request).map_err(told_of_image)?;
    if for_microvms {
        making_it(|| disk(store, &request.name))?.ok_or_else(|| unknown(Some(store), &request.name))?;
    }
    let image = ListedImage::of(&request.name, &record);
    if json { outlet::say_json(&image) } else { outlet::say(&in_table(&[image])) }
}

/// What the language of this name is to be had from.
fn image_of_language(name: &ImageName) -> Result<OriginArg, Failure> {
    let catalogue = Catalogue::builtin();
    let language = catalogue.languages().find(|language| language.name() == name.to_string());
    let image = language.and_then(Language::image).ok_or_else(|| {
        let named = catalogue.languages().filter(|language| language.image().is_some()).map(Language::name);
        Failure::request(anyhow!("`--image` is missing, and no language is called `{name}`"))
            .with_help(format!("without it, the name is one of {}", named.collect::<Vec<_>>().join(", ")))
    })?;
    image.parse().map_err(Failure::request)
}

/// The line about its progress is gone when it returns.
fn taken(
    store: &Store,
    source: &dyn firebox_image::Source,
    request: &Request,
) -> Result<firebox_image::Record, TakeInError> {
    let line = Watch::begin();
    take_in(store, source, request, &|progress| line.hear(progress))
}
