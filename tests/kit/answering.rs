//! `firebox answer`: one process that answers many requests, as a server does.

use std::path::Path;

use serde_json::Value;

use super::firebox::{Firebox, firebox};
use super::inventory::leaving_nothing;
use super::setting::Setting;

/// Requests that are answered by one process, one after the other, each in a partition.
pub(crate) struct Requests {
    firebox: Firebox,
    languages: Vec<&'static str>,
    /// What the process is told about keeping.
    keeping: Vec<String>,
    lines: String,
}

/// One response.
#[derive(Debug)]
pub(crate) struct Response(Value);

/// Nothing asked for yet, in these languages.
pub(crate) fn requests(languages: &[&'static str]) -> Requests {
    Requests { firebox: firebox(), languages: languages.to_vec(), keeping: Vec::new(), lines: String::new() }
}

impl Requests {
    /// By a process of this setting, whose cells are jails.
    pub(crate) fn by(mut self, setting: Setting) -> Requests {
        self.firebox = setting.caller();
        self
    }

    /// By a process that looks for toolchains here, and nowhere else before.
    pub(crate) fn with_programs_in(mut self, directory: &Path) -> Requests {
        let path = format!("{}:/usr/bin:/bin", directory.display());
        self.firebox = self.firebox.env("PATH", path);
        self
    }

    /// By a process that builds every job anew, with so many cells waiting in each language.
    pub(crate) fn keeping_warm(mut self, cells: usize) -> Requests {
        self.keeping = ["--keep-mb", "0", "--warm", &cells.to_string()].map(str::to_owned).to_vec();
        self
    }

    /// By a process that has the images of this home.
    pub(crate) fn with_images_of(mut self, home: &Path) -> Requests {
        self.firebox = self.firebox.env("FIREBOX_HOME", home);
        self
    }

    /// With the toolchains that this search path leads to.
    pub(crate) fn by_programs_of(mut self, path: &str) -> Requests {
        self.firebox = self.firebox.env("PATH", path);
        self
    }

    /// Asks for this next. Its response tells every step.
    pub(crate) fn ask(mut self, partition: &str, mut request: Value) -> Requests {
        request["steps"] = true.into();
        self.lines.push_str(&format!("{partition}\t{request}\n"));
        self
    }

    /// The responses, in order, of a process that leaves nothing behind.
    pub(crate) fn answered(self) -> Vec<Response> {
        leaving_nothing(|| self.answers())
    }

    /// The responses, in order; the caller sees to it that nothing is left behind.
    pub(crate) fn answers(self) -> Vec<Response> {
        let asked = self.lines.lines().count();
        let languages = self.languages.iter().flat_map(|language| ["--lang", language]);
        let call = self.firebox.arg("answer").args(languages).args(self.keeping).stdin(self.lines.into_bytes());
        let call = call.run();
        assert_eq!(call.code(), 0, "{call}");
        let responses = String::from_utf8_lossy(&call.stdout).into_owned();
        let responses: Vec<Response> = responses
            .lines()
            .map(|line| Response(serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))))
            .collect();
        assert_eq!(responses.len(), asked, "{call}");
        responses
    }
}

impl Response {
    pub(crate) fn stdout(&self) -> &str {
        self.0["stdout"].as_str().unwrap_or_else(|| panic!("no stdout: {self:?}"))
    }

    pub(crate) fn status(&self) -> &str {
        self.0["status"].as_str().unwrap_or_else(|| panic!("no status: {self:?}"))
    }

    /// Whether the kernel held the job to its limits.
    pub(crate) fn is_enforced(&self) -> bool {
        let held = self.0["enforcement"].as_object().unwrap_or_else(|| panic!("no enforcement: {self:?}"));
        held.values().all(|how| how == "enforced")
    }

    /// How long the run took.
    pub(crate) fn run_ms(&self) -> f64 {
        self.0["timing_ms"]["run"].as_f64().unwrap_or_else(|| panic!("no time: {self:?}"))
    }

    /// What the first step has printed.
    pub(crate) fn diagnostics(&self) -> &Value {
        &self.0["steps"][0]["stderr"]
    }

    /// Whether its build was kept from an earlier request.
    pub(crate) fn is_kept(&self) -> bool {
        let steps = self.0["steps"].as_array().unwrap_or_else(|| panic!("no steps: {self:?}"));
        assert_eq!(steps.last().expect("there is a run")["kept"], false, "a run is never kept: {self:?}");
        steps[0]["kept"] == true
    }

    /// All of it but what it is called, how long it took and what it used: that differs from run to run.
    pub(crate) fn but_for_numbers(&self) -> Value {
        let mut response = self.0.clone();
        for field in ["trace_id", "timing_ms", "usage"] {
            response[field].take();
        }
        for step in response["steps"].as_array_mut().into_iter().flatten() {
            for field in ["wall_ms", "usage", "kept"] {
                step[field].take();
            }
        }
        response
    }
}
