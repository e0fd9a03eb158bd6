//! Where the toolchain of a language comes from: an image that is kept under the language's name, or else this host.

use anyhow::Context;
use firebox_image::{Held, HeldDisk, ImageName, Store, StoreError};
use firebox_lang::{Host, Language, MissingToolchain, NotInImage, Rootfs, Toolchain};

use crate::failure::Failure;
use crate::groundwork::{Groundworks, Laid, have_it_laid};
use crate::host;
use crate::rootfs::{self, told_of_store, unknown};
use crate::shelf::usual_home;

/// What there is to choose from.
pub(crate) struct Toolchains {
    host: Host,
    /// None where no image was ever taken in.
    images: Result<Option<Store>, StoreError>,
    groundworks: Option<Groundworks>,
}

/// A toolchain, and where it is from.
pub(crate) struct Found {
    pub(crate) toolchain: Toolchain,
    /// The image that it is of. It stays as it is as long as this lives.
    pub(crate) image: Option<Held>,
    /// What jobs need besides, held likewise.
    pub(crate) groundwork: Option<Laid>,
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
        let home = usual_home().ok();
        let groundworks = home.as_ref().map(Groundworks::of);
        let images = home.map_or(Ok(None), |home| Store::open_if_there(&home.images()));
        Toolchains { host: host::programs(), images, groundworks }
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
            return Ok(self.with_groundwork(language, found, None));
        };
        let instead = format!("`firebox rootfs remove {name}` has the host's used instead of the image `{name}`");
        self.found_in(language, &name, held.map_err(NotFound::Failed)?, instead)
    }

    /// That of this host, whatever images there are, with all that jobs need.
    pub(crate) fn ready_on_host(&self, language: &Language) -> Result<Found, Failure> {
        let found = language.find_toolchain(&self.host).map_err(Failure::host)?;
        let found = self.with_groundwork(language, found, None);
        self.laid(language, None, found).map_err(NotFound::into_failure)
    }

    /// That of a language in the image that was named.
    pub(crate) fn in_image(&self, language: &Language, name: &ImageName) -> Result<Found, Failure> {
        let no_image = || unknown(self.images.as_ref().ok().and_then(Option::as_ref), name);
        let held = self.held(name)?.ok_or_else(no_image)?;
        self.found_in(language, name, held, format!("the image `{name}` lacks it")).map_err(|not_found| match not_found
        {
            NotFound::Missing(missing) => Failure::request(missing),
            NotFound::Failed(failure) => failure,
        })
    }

    /// That of a language, or of one in the image that was named, with all that jobs need: what was not made yet is made.
    pub(crate) fn ready(&self, language: &Language, image: Option<&ImageName>) -> Result<Found, Failure> {
        let found = match image {
            Some(name) => self.in_image(language, name)?,
            None => self.of(language).map_err(NotFound::into_failure)?,
        };
        self.laid(language, image, found).map_err(NotFound::into_failure)
    }

    /// The same toolchain with its groundwork, which another process lays if it was not laid yet.
    pub(crate) fn laid(&self, language: &Language, image: Option<&ImageName>, found: Found) -> Result<Found, NotFound> {
        if !found.toolchain.lacks_groundwork() {
            return Ok(found);
        }
        let Found { toolchain, image: held, groundwork: _ } = found;
        let laid = have_it_laid(language, image).map(|()| self.with_groundwork(language, toolchain, held));
        laid.map_err(NotFound::Failed)?.if_laid(language)
    }

    /// With its groundwork, if it needs any and it was made.
    fn with_groundwork(&self, language: &Language, mut toolchain: Toolchain, image: Option<Held>) -> Found {
        let groundwork = match (&self.groundworks, toolchain.lacks_groundwork()) {
            (Some(groundworks), true) => groundworks.held(language, &toolchain),
            (None, _) | (_, false) => None,
        };
        if let Some(laid) = &groundwork {
            toolchain.lay(laid.path());
        }
        Found { toolchain, image, groundwork }
    }

    /// What it lacks is told with this cure.
    fn found_in(&self, language: &Language, name: &ImageName, held: Held, cure: String) -> Result<Found, NotFound> {
        let unreadable = |error: anyhow::Error| NotFound::Failed(Failure::host(error));
        let doing = || format!("cannot read the image `{name}`");
        let rootfs = Rootfs::open(&name.to_string(), held.tree(), &held.record().environment);
        let rootfs = rootfs.with_context(doing).map_err(unreadable)?;
        match language.find_in(&rootfs, host::programs().linker) {
            Ok(toolchain) => Ok(self.with_groundwork(language, toolchain, Some(held))),
            Err(NotInImage::Missing(missing)) => Err(NotFound::Missing(MissingToolchain { install: cure, ..missing })),
            Err(NotInImage::Io(error)) => Err(unreadable(anyhow::Error::new(error).context(doing()))),
        }
    }

    /// An image as a file system for a microVM, made of its tree if there is none yet. None where there is no such image.
    pub(crate) fn disk(&self, name: &str) -> Result<Option<HeldDisk>, Failure> {
        let (Ok(Some(images)), Ok(name)) = (&self.images, name.parse::<ImageName>()) else { return Ok(None) };
        rootfs::disk(images, &name)
    }

    fn held(&self, name: &ImageName) -> Result<Option<Held>, Failure> {
        match &self.images {
            Ok(images) => images.as_ref().map_or(Ok(None), |images| images.hold(name)).map_err(told_of_store),
            Err(error) => Err(told_of_store(error)),
        }
    }
}

impl Found {
    /// It, if jobs have all that they need.
    pub(crate) fn if_laid(self, language: &Language) -> Result<Found, NotFound> {
        if !self.toolchain.lacks_groundwork() {
            return Ok(self);
        }
        let first = self.toolchain.programs.first();
        Err(NotFound::Missing(language.lacks_groundwork(first.map(|program| program.outside.as_path()))))
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
