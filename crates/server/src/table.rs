//! What the service answers to: for each address and method who answers, and the description of it.
//!
//! Both stand in one line of this table, and the router and the document are made of nothing else: what is served is described,
//! and the other way round. In builds for development an answer with a status that its description does not have is a panic.

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{Next, from_fn};
use axum::routing::{MethodFilter, on};

use crate::answer::Form;
use crate::gate::is_open;
use crate::openapi::Operation;
use crate::routes::House;

/// Where the API is: as it is now, and for those who come from the older form.
const API: [(&str, Form); 2] = [("/v1", Form::Nested), ("/api/v1", Form::Flat)];

/// All that is served.
pub(crate) struct Table {
    router: Router<House>,
    entries: Vec<Entry>,
}

/// An address and a method, and what they are for.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) form: Form,
    pub(crate) operation: Operation,
}

impl Table {
    pub(crate) fn new() -> Table {
        Table { router: Router::new(), entries: Vec::new() }
    }

    /// Adds a part of the API, by both of its addresses.
    pub(crate) fn api<H, T>(self, method: Method, path: &str, handler: H, operation: Operation) -> Table
    where
        H: Handler<T, House>,
        T: 'static,
    {
        API.into_iter().fold(self, |table, (place, form)| {
            let operation = operation.clone();
            let entry = Entry { method: method.clone(), path: format!("{place}{path}"), form, operation };
            table.add(entry, handler.clone())
        })
    }

    /// Adds what has one address, beside the API.
    pub(crate) fn beside<H, T>(self, method: Method, path: &str, handler: H, operation: Operation) -> Table
    where
        H: Handler<T, House>,
        T: 'static,
    {
        self.add(Entry { method, path: path.to_owned(), form: Form::Nested, operation }, handler)
    }

    /// The two things that are made of it.
    pub(crate) fn into_parts(self) -> (Router<House>, Vec<Entry>) {
        (self.router, self.entries)
    }

    fn add<H, T>(mut self, mut entry: Entry, handler: H) -> Table
    where
        H: Handler<T, House>,
        T: 'static,
    {
        entry.operation = entry.operation.for_everybody(is_open(&entry.path));
        let filter = MethodFilter::try_from(entry.method.clone())
            .unwrap_or_else(|error| panic!("{} cannot be routed: {error}", entry.method));
        let mut answering = on(filter, handler);
        if cfg!(debug_assertions) {
            let (statuses, name) = (entry.operation.statuses(), format!("{} {}", entry.method, entry.path));
            answering = answering.layer(from_fn(move |request: Request, next: Next| {
                let (statuses, name) = (statuses.clone(), name.clone());
                async move {
                    let answer = next.run(request).await;
                    let status = answer.status();
                    assert!(statuses.contains(&status), "{name} answers {status}, and its description does not say so");
                    answer
                }
            }));
        }
        self.router = self.router.route(&entry.path, answering);
        self.entries.push(entry);
        self
    }
}
