//! Which address leads where.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use firebox_api::{Refusal, RefusalCode};

use crate::answer::{Form, Refusing};
use crate::body::Bodies;
use crate::doors::{self, Foreign};
use crate::service::Service;
use crate::{execute, health, languages, metrics};

/// What every address can reach.
#[derive(Debug, Clone)]
pub(crate) struct House {
    pub(crate) service: Arc<Service>,
    pub(crate) bodies: Arc<Bodies>,
}

pub(crate) fn routes(house: House) -> Router {
    let api = Router::new()
        .route("/execute", post(execute::execute))
        .route("/languages", get(languages::languages))
        .route("/languages/{name}", get(languages::language));
    Router::new()
        .nest("/v1", api.clone())
        .nest("/api/v1", api)
        .route("/health", get(health::health))
        .route("/metrics", get(metrics::metrics))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(house.clone(), at_the_door))
        .with_state(house)
}

/// Lets in who may come in, and says who it is.
async fn at_the_door(State(house): State<House>, mut request: Request<Body>, next: Next) -> Response {
    if !house.service.settings.allow_anonymous
        && let Err(foreign) = doors::look(request.uri(), request.headers())
    {
        let refusal = match foreign {
            Foreign::Host => Refusal::new(RefusalCode::Forbidden, "the `Host` of this request is not this host")
                .with_hint("call it `localhost` or `127.0.0.1`"),
            Foreign::Origin => Refusal::new(RefusalCode::Forbidden, "the `Origin` of this request is not this host")
                .with_hint("web pages from elsewhere may not have jobs run here"),
        };
        house.service.metrics.refused(refusal.code);
        return Refusing::from(refusal).into_response(Form::of(request.uri().path()));
    }
    request.extensions_mut().insert(house.service.everybody.clone());
    next.run(request).await
}

async fn not_found(request: Request<Body>) -> Response {
    Refusing::not_found().into_response(Form::of(request.uri().path()))
}

async fn method_not_allowed(request: Request<Body>) -> Response {
    let message = format!("this address does not take {}", request.method());
    let refusal = Refusal::new(RefusalCode::MethodNotAllowed, message).with_hint("`Allow` says what it takes");
    Refusing::from(refusal).into_response(Form::of(request.uri().path()))
}
