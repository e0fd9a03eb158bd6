//! `GET /v1/languages`: what jobs can be in.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use firebox_api::Listing;
use tracing::warn;

use crate::answer::{Form, Refusing, in_one_line};
use crate::routes::House;
use crate::segment::Segment;
use crate::service::Service;

pub(crate) async fn languages(State(house): State<House>) -> Response {
    Json(house.service.listings().await).into_response()
}

pub(crate) async fn language(
    State(house): State<House>,
    OriginalUri(uri): OriginalUri,
    Segment(name): Segment,
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

pub(crate) mod operations {
    //! What is said of the above.

    use axum::http::StatusCode;
    use firebox_api::{Listing, RefusalCode};
    use firebox_lang::Catalogue;
    use serde_json::{Value, json};

    use crate::openapi::{Answer, Content, Operation};

    pub(crate) fn all() -> Operation {
        let about = "Every language that firebox knows, whether this host has it or not.";
        let listed = Content::answered::<Vec<Listing>>().example("two", "Two of them", json!(two()));
        let answer = Answer::new(StatusCode::OK, "All of them, each with what it takes to run it.").with(listed).link(
            "language",
            "language",
            "name",
            "$response.body#/0/name",
        );
        Operation::new("languages", "List the languages", about).answers(answer)
    }

    pub(crate) fn one() -> Operation {
        let about = "By its name, or another name that it answers to; upper and lower case are the same.";
        let listed = Content::answered::<Listing>().example("one", "A language that is not installed", two().remove(0));
        let names: Vec<String> = Catalogue::builtin().languages().map(|language| language.name().to_owned()).collect();
        Operation::new("language", "Look at one language", about)
            .given("path", "name", "The language's name.", json!({"type": "string", "minLength": 1, "examples": names}))
            .answers(Answer::new(StatusCode::OK, "The language.").with(listed))
            .refuses(&[RefusalCode::Malformed, RefusalCode::NotFound, RefusalCode::UnknownLanguage])
    }

    fn two() -> Vec<Value> {
        Catalogue::builtin().languages().take(2).map(|language| json!(Listing::of(language))).collect()
    }
}
