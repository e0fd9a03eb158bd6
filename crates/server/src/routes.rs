//! Which address leads where.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::Response;
use firebox_api::{Refusal, RefusalCode};
use tower::util::option_layer;

use crate::answer::{Form, Refusing};
use crate::body::{self, Bodies};
use crate::commons::Commons;
use crate::compression::compression;
use crate::doors::Foreign;
use crate::openapi::Described;
use crate::outbox::{self, Outbox};
use crate::service::Service;
use crate::table::Table;
use crate::visit::Visit;
use crate::{execute, health, jobs, languages, metrics, openapi, origin, request_id};

/// What every address can reach.
#[derive(Debug, Clone)]
pub(crate) struct House {
    pub(crate) service: Arc<Service>,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) connections: Arc<Commons>,
    pub(crate) described: Arc<Described>,
}

/// Everything that is served, each with its description.
pub(crate) fn table() -> Table {
    Table::new()
        .api(Method::POST, "/execute", execute::execute, execute::operation())
        .api(Method::POST, "/jobs", jobs::submit, jobs::operations::submit())
        .api(Method::GET, "/jobs", jobs::list, jobs::operations::list())
        .api(Method::POST, "/jobs/batch", jobs::submit_batch, jobs::operations::submit_batch())
        .api(Method::GET, "/jobs/{id}", jobs::look, jobs::operations::look())
        .api(Method::DELETE, "/jobs/{id}", jobs::cancel, jobs::operations::cancel())
        .api(Method::GET, "/jobs/{id}/events", jobs::follow, jobs::operations::follow())
        .api(Method::GET, "/languages", languages::languages, languages::operations::all())
        .api(Method::GET, "/languages/{name}", languages::language, languages::operations::one())
        .beside(Method::GET, "/health", health::health, health::operation())
        .beside(Method::GET, "/metrics", metrics::metrics, metrics::operation())
        .beside(Method::GET, "/openapi.json", openapi::document, openapi::operations::document())
        .beside(Method::GET, "/docs", openapi::page, openapi::operations::page())
        .beside(Method::GET, "/docs/page.css", openapi::style, openapi::operations::style())
}

pub(crate) fn routes(service: Arc<Service>, bodies: Arc<Bodies>) -> Router {
    let (router, entries) = table().into_parts();
    let origins = &service.settings.cors_origins;
    let sharing = (!origins.is_empty()).then(|| origin::sharing(origins));
    let within = service.settings.request_within;
    let connections = Commons::of(service.settings.connections);
    let house = House { service, bodies, connections, described: Arc::new(Described::new(entries)) };
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(house.clone(), at_the_door))
        .layer(option_layer(sharing))
        .layer(compression())
        .layer(middleware::from_fn_with_state(Outbox::new(within), outbox::hold))
        .layer(middleware::from_fn(request_id::name))
        .with_state(house)
}

/// Lets in who may come in, and says who it is.
async fn at_the_door(State(house): State<House>, mut request: Request<Body>, next: Next) -> Response {
    let entered = house.service.let_in(request.uri(), request.headers()).and_then(|caller| {
        // Who takes something back is in nobody's way.
        let seat = request.extensions().get().filter(|_| request.method() != Method::DELETE);
        let visit = Visit::begin(&house.connections, seat, &caller)?;
        Ok((caller, visit))
    });
    let (caller, visit) = match entered {
        Ok(entered) => entered,
        Err(refusing) => {
            house.service.metrics.refused(refusing.refusal.code);
            let form = Form::of(request.uri().path());
            body::let_finish(request.into_body()).await;
            return refusing.into_response(form);
        }
    };
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    response.extensions_mut().insert(visit);
    response
}

async fn not_found(request: Request<Body>) -> Response {
    Refusing::not_found().into_response(Form::of(request.uri().path()))
}

async fn method_not_allowed(request: Request<Body>) -> Response {
    Refusing::from(wrong_method(request.method())).into_response(Form::of(request.uri().path()))
}

pub(crate) fn foreign(foreign: Foreign) -> Refusing {
    Refusing::from(match foreign {
        Foreign::Host => Refusal::new(RefusalCode::Forbidden, "the `Host` of this request is not this host")
            .with_hint("call it `localhost` or `127.0.0.1`"),
        Foreign::Origin => Refusal::new(RefusalCode::Forbidden, "the `Origin` of this request is not this host")
            .with_hint(
                "web pages from elsewhere may not have jobs run here, but those that the operator names in `cors_origins`",
            ),
    })
}

pub(crate) fn wrong_method(method: &Method) -> Refusal {
    Refusal::new(RefusalCode::MethodNotAllowed, format!("this address does not take {method}"))
        .with_hint("`Allow` says what it takes")
}
