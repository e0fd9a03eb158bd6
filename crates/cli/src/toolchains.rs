//! Where the toolchain of a language comes from: an image that is kept under the language's name, or else this host.

use std::env;

use anyhow::Context;
use firebox_image::{Held, Home, ImageName, Store, StoreError};
use firebox_lang::{Host, Language, MissingToolchain, NotInImage, Rootfs, Toolchain};

use crate::failure::Failure;
use crate::host;
use crate::rootfs::{told_of_store, unknown};

/// What there is to choose from.
pub(crate) struct Toolchains {
    host: Host,
    /// None where no image was ever taken in.
    images: Result<Option<Store>, StoreError>,
}

/// A toolchain, and where it is from.
pub(crate) struct Found {
    pub(crate) toolchain: Toolchain,
    /// The image that it is of. It stays as it is as long as this lives.
    pub(crate) image: Option<Held>,
}

/// Why there is none.
pub(crate) enum NotFound {
    /// Neither the image has it nor, where there is no image, this host.
    Missing(MissingToolchain),
    /// It could not be looked for.
    Failed(Failure),
}

impl Toolchains {
    /// Those of this user on this host.
    pub(crate) fn find() -> Toolchains {
        // Who has no place for images has none.
        let home = Home::find(|name| env::var_os(name)).ok();
        let images = home.map_or(Ok(None), |home| Store::open_if_there(&home.images()));
        Toolchains { host: host::programs(), images }
    }

    /// That of a language: of the image that has its name, if there is one.
    pub(crate) fn of(&self, language: &Language) -> Result<Found, NotFound> {
        // Images of another are nobody's wish: `sudo` may leave root in the home of who called it.
        let is_anothers = matches!(self.images, Err(StoreError::NotOurs { .. }));
        // Every language has a name that an image can have.
        let name = language.name().parse().ok().filter(|_| !is_anothers);
        let held = name.and_then(|name: ImageName| Some((self.held(&name).transpose()?, name)));
        let Some((held, name)) = held else {
            let found = language.find_toolchain(&self.host).map_err(NotFound::Missing)?;
            return Ok(Found { toolchain: found, image: None });
        };
        let instead = format!("`firebox rootfs remove {name}` has the host's used instead of the image `{name}`");
        found_in(language, &name, held.map_err(NotFound::Failed)?, instead)
    }

    /// That of a language in the image that was named.
    pub(crate) fn in_image(&self, language: &Language, name: &ImageName) -> Result<Found, Failure> {
        let no_image = || unknown(self.images.as_ref().ok().and_then(Option::as_ref), name);
        let held = self.held(name)?.ok_or_else(no_image)?;
        found_in(language, name, held, format!("the image `{name}` lacks it")).map_err(|not_found| match not_found {
            NotFound::Missing(missing) => Failure::request(missing),
            NotFound::Failed(failure) => failure,
        })
    }

    fn held(&self, name: &ImageName) -> Result<Option<Held>, Failure> {
        match &self.images {
            Ok(images) => images.as_ref().map_or(Ok(None), |images| images.hold(name)).map_err(told_of_store),
            Err(error) => Err(told_of_store(error)),
        }
    }
}

impl NotFound {
    /// As the host's failure to have what somebody named.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            NotFound::Missing(missing) => Failure::host(missing),
            NotFound::Failed(failure) => failure,
        }
    }
}

/// What it lacks is told with this cure.
fn found_in(language: &Language, name: &ImageName, held: Held, cure: String) -> Result<Found, NotFound> {
    let unreadable = |error: anyhow::Error| NotFound::Failed(Failure::host(error));
    let doing = || format!("cannot read the image `{name}`");
    let rootfs = Rootfs::open(&name.to_string(), held.tree(), &held.record().environment);
    let rootfs = rootfs.with_context(doing).map_err(unreadable)?;
    match language.find_in(&rootfs, host::programs().linker) {
        Ok(toolchain) => Ok(Found { toolchain, image: Some(held) }),
        Err(NotInImage::Missing(missing)) => Err(NotFound::Missing(MissingToolchain { install: cure, ..missing })),
        Err(NotInImage::Io(error)) => Err(unreadable(anyhow::Error::new(error).context(doing()))),
    }
}
