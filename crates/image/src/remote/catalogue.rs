//! What a bucket has.

use std::str::FromStr;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;

use crate::bounds::Bounds;
use crate::record::Record;
use crate::remote::bucket::Question;
use crate::remote::error::is_missing;
use crate::remote::{Bucket, BucketError, NAMES, place_of_name};
use crate::store::ImageName;

/// How many names are looked at.
const MOST: usize = 10_000;
/// How long a list may take. One of pages that are empty and never end is none.
const LONGEST: Duration = Duration::from_secs(300);

/// A name in a bucket, and what it stands for there.
#[derive(Debug)]
pub struct Catalogued {
    /// The name.
    pub name: ImageName,
    /// The image by what the bucket says, or why it is none.
    pub record: Result<Record, BucketError>,
}

impl Bucket {
    /// All images, by name. What is under no possible name is none.
    pub fn images(&self) -> Result<Vec<Catalogued>, BucketError> {
        let folder = self.base.clone().join(NAMES);
        let mut names: Vec<ImageName> = self.handle().block_on(self.names_below(&folder, "list the images"))?;
        names.sort();
        let questions = futures_util::stream::iter(names).map(|name| async {
            let object = place_of_name(&self.base, &name);
            let question = Question { objects: self.objects.clone(), object };
            (name, question.document(Bounds::default().document).await)
        });
        let answers: Vec<_> = self.handle().block_on(questions.buffered(self.parallel).collect());
        let mut images = Vec::new();
        for (name, answer) in answers {
            match answer {
                Ok(bytes) => images.push(Catalogued { record: self.read_record(&name, &bytes), name }),
                // Removed a moment ago.
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(self.wrong(&format!("look for image `{name}`"))(error)),
            }
        }
        Ok(images)
    }

    /// What is right below a folder, and is called as such a thing can be.
    pub(super) async fn names_below<N: FromStr>(&self, folder: &Path, what: &str) -> Result<Vec<N>, BucketError> {
        let listed = self.objects.list(Some(folder)).take(MOST + 1).try_collect::<Vec<_>>();
        let endless = || BucketError::Endless { place: self.place.clone(), most: MOST };
        let listed = tokio::time::timeout(LONGEST, listed).await.map_err(|_| endless())?;
        let listed = listed.map_err(self.wrong(what))?;
        if MOST < listed.len() {
            return Err(endless());
        }
        let below = listed.iter().filter(|meta| meta.location.prefix_matches(folder));
        let below = below.filter(|meta| meta.location.parts().count() == folder.parts().count() + 1);
        Ok(below.filter_map(|meta| meta.location.filename()?.parse().ok()).collect())
    }
}
