//! A piece of output, told as it comes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use firebox_job::StepKind;
use schemars::JsonSchema;
use serde::Serialize;

/// A piece of output, told as it comes: all pieces of a stream together are the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(extend("oneOf" = [{"required": ["text"]}, {"required": ["base64"]}]))]
pub struct OutputEvent {
    /// What the step that wrote it is for: `build` or `run`.
    #[schemars(extend("enum" = ["build", "run"]))]
    pub step: &'static str,
    /// `stdout` or `stderr`.
    #[schemars(extend("enum" = ["stdout", "stderr"]))]
    pub stream: &'static str,
    /// What was written, if that is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What was written, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

impl OutputEvent {
    /// A piece of a step's stream.
    pub fn new(step: StepKind, stream: &'static str, bytes: Vec<u8>) -> OutputEvent {
        let step = match step {
            StepKind::Build => "build",
            StepKind::Run => "run",
        };
        match String::from_utf8(bytes) {
            Ok(text) => OutputEvent { step, stream, text: Some(text), base64: None },
            Err(error) => OutputEvent { step, stream, text: None, base64: Some(STANDARD.encode(error.into_bytes())) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text_and_other_bytes_are_base64() {
        let json =
            |bytes: &[u8]| serde_json::to_string(&OutputEvent::new(StepKind::Run, "stdout", bytes.into())).unwrap();
        assert_eq!(json("añ\n".as_bytes()), r#"{"step":"run","stream":"stdout","text":"añ\n"}"#);
        assert_eq!(json(b"\xff"), r#"{"step":"run","stream":"stdout","base64":"/w=="}"#);
    }
}
