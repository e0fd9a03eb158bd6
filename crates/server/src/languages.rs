//! `GET /v1/languages`: what jobs can be in.

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use axum::response::{IntoResponse, Response};
use firebox_api::Listing;
use tracing::warn;

use crate::answer::{Form, Refusing, in_one_line};
use crate::routes::House;
use crate::service::Service;

pub(crate) async fn languages(State(house): State<House>) -> Response {
    Json(house.service.listings().await).into_response()
}

pub(crate) async fn language(
    State(house): State<House>,
    OriginalUri(uri): OriginalUri,
    Path(name): Path<String>,
) -> Response {
    let refuse = |refusing: Refusing| refusing.into_response(Form::of(uri.path()));
    let language = match house.service.catalogue().find(&name) {
        Ok(language) => language.name().to_owned(),
        Err(error) => return refuse(Refusing::unknown_language(error)),
    };
    match house.service.listings().await.iter().find(|listing| listing.name == language) {
        Some(listing) => Json(listing).into_response(),
        None => refuse(Refusing::not_found()),
    }
}

/// Every language of the catalogue. Toolchains are asked for their versions, in cells.
pub(crate) fn list(service: &Service) -> Vec<Listing> {
    let listed = service.catalogue().languages().map(|language| {
        let listing = Listing::of(language);
        let place =
            service.engine.installed().iter().position(|installed| installed.language.name() == language.name());
        let Some(place) = place else {
            return match service.lack_of(language) {
                Some(missing) => listing.without(missing),
                None => listing,
            };
        };
        let version = service.engine.version(place);
        let version = version.inspect_err(|unknown| warn!("{}", in_one_line(unknown)));
        Listing { version: version.ok(), ..listing.with(&service.engine.installed()[place].toolchain) }
    });
    listed.collect()
}
