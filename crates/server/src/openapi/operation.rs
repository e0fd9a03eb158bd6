//! One operation as the document describes it. Built where the code is that answers.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use firebox_api::{RefusalCode, Schemas};
use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::answer::{Form, status};

/// What anybody may be told, whatever they want: no operation lists it.
const BY_THE_DOOR: [RefusalCode; 2] = [RefusalCode::Forbidden, RefusalCode::Full];
/// And what it says where a key is asked for.
const WITHOUT_A_KEY: [RefusalCode; 2] = [RefusalCode::Unauthorized, RefusalCode::Quota];

/// What an address does, takes and answers.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) about: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) takes: Option<Content>,
    pub(super) answers: Vec<Answer>,
    pub(super) refusals: Vec<RefusalCode>,
    /// Whether nobody is asked for a key.
    pub(super) is_open: bool,
}

/// A part of the address or of the head.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    /// `path`, `query` or `header`.
    pub(super) place: &'static str,
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) schema: Value,
}

/// A body in one of its forms.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(super) kind: &'static str,
    /// It may differ by the form of the API.
    pub(super) schema: fn(&mut Schemas, Form) -> Value,
    pub(super) examples: Vec<Example>,
}

/// A body as it may really be.
#[derive(Debug, Clone)]
pub(crate) struct Example {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) value: Value,
}

/// An answer that is no refusal.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(super) status: StatusCode,
    pub(super) about: &'static str,
    /// Each with whether it is always there.
    pub(super) headers: Vec<(&'static str, &'static str, bool)>,
    pub(super) contents: Vec<Content>,
    pub(super) links: Vec<Link>,
}

/// How to go on with what an answer says: where it is in the answer, and which parameter of which operation takes it.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(super) name: &'static str,
    pub(super) operation: &'static str,
    pub(super) parameter: &'static str,
    pub(super) from: &'static str,
}

impl Operation {
    /// `id` is what generated clients call it.
    pub(crate) fn new(id: &'static str, summary: &'static str, about: &'static str) -> Operation {
        let (parameters, takes, answers, refusals) = (Vec::new(), None, Vec::new(), Vec::new());
        Operation { id, summary, about, parameters, takes, answers, refusals, is_open: false }
    }

    /// Adds a parameter in `path`, `query` or `header`.
    pub(crate) fn given(
        mut self,
        place: &'static str,
        name: &'static str,
        about: &'static str,
        schema: Value,
    ) -> Operation {
        self.parameters.push(Parameter { place, name, about, schema });
        self
    }

    pub(crate) fn takes(self, content: Content) -> Operation {
        Operation { takes: Some(content), ..self }
    }

    pub(crate) fn answers(mut self, answer: Answer) -> Operation {
        self.answers.push(answer);
        self
    }

    /// Every reason for which there may be another answer, but for those of the door.
    pub(crate) fn refuses(mut self, codes: &[RefusalCode]) -> Operation {
        self.refusals.extend(codes);
        self
    }

    /// The same, for everybody or for those alone who have a key, where there are keys.
    pub(crate) fn for_everybody(self, is_open: bool) -> Operation {
        Operation { is_open, ..self }
    }

    /// All reasons, those of the door included.
    pub(super) fn refusals(&self) -> BTreeSet<RefusalCode> {
        let asked_for_a_key = WITHOUT_A_KEY.into_iter().filter(|_| !self.is_open);
        // One that has an answer of its own of that kind, as `/health` has when the service is full, says it by that.
        let answered = |code: &RefusalCode| self.answers.iter().any(|answer| answer.status == status(*code));
        let by_the_door = BY_THE_DOOR.into_iter().filter(|code| !answered(code));
        by_the_door.chain(asked_for_a_key).chain(self.refusals.iter().copied()).collect()
    }

    /// All that it may answer with.
    pub(crate) fn statuses(&self) -> BTreeSet<StatusCode> {
        self.answers.iter().map(|answer| answer.status).chain(self.refusals().into_iter().map(status)).collect()
    }
}

impl Content {
    /// JSON that a client sends.
    pub(crate) fn sent<T: JsonSchema>() -> Content {
        Content { kind: "application/json", schema: |schemas, _| schemas.sent::<T>(), examples: Vec::new() }
    }

    /// JSON that a client is answered with.
    pub(crate) fn answered<T: JsonSchema>() -> Content {
        Content { kind: "application/json", schema: |schemas, _| schemas.answered::<T>(), examples: Vec::new() }
    }

    /// What is text to whoever reads JSON.
    pub(crate) fn text(kind: &'static str) -> Content {
        Content { kind, schema: |_, _| json!({"type": "string"}), examples: Vec::new() }
    }

    /// Server-sent events: `events` has the schema of the data of each.
    pub(crate) fn events(events: fn(&mut Schemas, Form) -> Value) -> Content {
        Content { kind: "text/event-stream", schema: events, examples: Vec::new() }
    }

    pub(crate) fn example(mut self, name: &'static str, summary: &'static str, value: Value) -> Content {
        self.examples.push(Example { name, summary, value });
        self
    }
}

impl Answer {
    pub(crate) fn new(status: StatusCode, about: &'static str) -> Answer {
        Answer { status, about, headers: Vec::new(), contents: Vec::new(), links: Vec::new() }
    }

    /// Adds a body, or another form of it.
    pub(crate) fn with(mut self, content: Content) -> Answer {
        self.contents.push(content);
        self
    }

    pub(crate) fn header(mut self, name: &'static str, about: &'static str) -> Answer {
        self.headers.push((name, about, true));
        self
    }

    /// One that is there when there is something to say.
    pub(crate) fn sometimes(mut self, name: &'static str, about: &'static str) -> Answer {
        self.headers.push((name, about, false));
        self
    }

    /// `from` is where the value is, such as `$response.body#/id`.
    pub(crate) fn link(
        mut self,
        name: &'static str,
        operation: &'static str,
        parameter: &'static str,
        from: &'static str,
    ) -> Answer {
        self.links.push(Link { name, operation, parameter, from });
        self
    }
}
