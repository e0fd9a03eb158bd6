//! `firebox groundwork`, as typed: by firebox itself.

use clap::Args;
use firebox_image::ImageName;

/// Makes the groundwork of a language and writes all of it to standard output, for the firebox that keeps it.
#[derive(Debug, Args)]
pub(crate) struct GroundworkArgs {
    /// The language.
    #[arg(long)]
    pub(crate) lang: String,
    /// The image whose programs make it.
    #[arg(long)]
    pub(crate) image: Option<ImageName>,
}
