//! All languages there are, by name, alias and extension.

use std::collections::HashMap;

use crate::excerpt::excerpt;
use crate::file::{self, LanguageFileError};
use crate::language::Language;
use crate::nearest::{did_you_mean, nearest};

/// The files that came with this binary: their names and texts.
const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/languages.rs"));

/// All languages there are. No two of them share a name, an alias or an extension.
#[derive(Debug, Clone)]
pub struct Catalogue {
    languages: Vec<Language>,
}

/// No language has this name or alias.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no language is called {asked:?}{}; `firebox languages` lists all", did_you_mean(.nearest))]
pub struct UnknownLanguage {
    /// The name as given, shortened when it is long.
    pub asked: String,
    /// The names closest to it, best first; empty when nothing is close.
    pub nearest: Vec<String>,
}

impl Catalogue {
    /// The languages that came with this binary.
    ///
    /// # Panics
    ///
    /// When an embedded file is bad, which a test of this crate rules out.
    pub fn builtin() -> Catalogue {
        match Catalogue::load(EMBEDDED.iter().copied()) {
            Ok(catalogue) => catalogue,
            Err(errors) => panic!("the language files in this binary are bad: {errors:?}"),
        }
    }

    /// Reads language files, given as names (for messages) and texts. All that is wrong in any of them is reported.
    pub fn load<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Catalogue, Vec<LanguageFileError>> {
        let mut languages = Vec::new();
        let mut errors = Vec::new();
        let mut taken: HashMap<(file::ClaimKind, String), &'a str> = HashMap::new();
        for (name, text) in files {
            let (language, claims) = match file::read(name, text) {
                Ok(read) => read,
                Err(faults) => {
                    errors.extend(faults);
                    continue;
                }
            };
            for file::Claim { kind, text: claimed, line, column } in claims {
                let Some(other) = taken.insert((kind, claimed.clone()), name) else { continue };
                let reason = format!("{kind} `{claimed}` is taken by {other}; choose another");
                errors.push(LanguageFileError { file: name.to_owned(), line, column, reason });
            }
            languages.push(language);
        }
        if errors.is_empty() { Ok(Catalogue { languages }) } else { Err(errors) }
    }

    /// The language with this name or alias; upper and lower case are the same.
    pub fn find(&self, name: &str) -> Result<&Language, UnknownLanguage> {
        let found = self.languages.iter().find(|language| language.answers_to(name));
        found.ok_or_else(|| UnknownLanguage { asked: excerpt(name), nearest: self.nearest(name) })
    }

    /// The language of files that end so. The extension comes without its dot and is taken by the letter: to C
    /// compilers, `.C` is another language than `.c`.
    pub fn by_extension(&self, extension: &str) -> Option<&Language> {
        self.languages.iter().find(|language| language.extensions().iter().any(|own| own == extension))
    }

    /// All languages, in the order of their files.
    pub fn languages(&self) -> impl Iterator<Item = &Language> {
        self.languages.iter()
    }

    /// One spelling per language: `py` and `python` in one message would look like a choice.
    fn nearest(&self, asked: &str) -> Vec<String> {
        let mut offered: Vec<(&str, String)> = Vec::new();
        for spelling in nearest(asked, self.languages.iter().flat_map(names)) {
            let Some(language) = self.languages.iter().find(|language| names(language).any(|own| own == spelling))
            else {
                continue;
            };
            if offered.iter().all(|(name, _)| *name != language.name()) {
                offered.push((language.name(), spelling));
            }
        }
        offered.into_iter().map(|(_, spelling)| spelling).collect()
    }
}

fn names(language: &Language) -> impl Iterator<Item = &str> {
    std::iter::once(language.name()).chain(language.aliases().iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_file_loads() {
        let loaded = Catalogue::load(EMBEDDED.iter().copied());
        let names: Vec<String> = match &loaded {
            Ok(catalogue) => catalogue.languages().map(|language| language.name().to_owned()).collect(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(names, ["bash", "c", "cpp", "go", "java", "javascript", "python", "rust"]);
    }

    #[test]
    fn a_language_is_found_by_name_and_alias_in_any_case() {
        let catalogue = Catalogue::builtin();
        for (asked, name) in [
            ("rust", "rust"),
            ("RUST", "rust"),
            ("rs", "rust"),
            ("C++", "cpp"),
            ("cxx", "cpp"),
            ("Js", "javascript"),
            ("node", "javascript"),
            ("py", "python"),
            ("sh", "bash"),
        ] {
            assert_eq!(catalogue.find(asked).unwrap().name(), name);
        }
    }

    #[test]
    fn an_extension_is_taken_by_the_letter() {
        let catalogue = Catalogue::builtin();
        let name = |extension| catalogue.by_extension(extension).map(Language::name);
        assert_eq!(name("mjs"), Some("javascript"));
        assert_eq!(name("c++"), Some("cpp"));
        assert_eq!((name("c"), name("C")), (Some("c"), None));
    }

    #[test]
    fn an_unknown_language_is_refused_with_the_nearest_names() {
        let catalogue = Catalogue::builtin();
        let error = catalogue.find("rsut").unwrap_err();
        assert_eq!(error.nearest, ["rust"]);
        let shown = error.to_string();
        assert_eq!(shown, "no language is called \"rsut\", did you mean `rust`?; `firebox languages` lists all");
        let error = catalogue.find("pyhton").unwrap_err();
        assert_eq!(error.nearest, ["python"], "one spelling per language");
        let error = catalogue.find("brainfuck").unwrap_err().to_string();
        assert_eq!(error, "no language is called \"brainfuck\"; `firebox languages` lists all");
        assert!(catalogue.find(&"x".repeat(1 << 20)).unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn what_two_files_claim_is_refused_in_the_second() {
        let first = EMBEDDED.iter().find(|(name, _)| *name == "languages/rust.toml").unwrap();
        let errors = Catalogue::load([*first, ("languages/again.toml", first.1)]).unwrap_err();
        let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 3, "name, alias, extension: {shown:#?}");
        assert!(shown[0].starts_with("languages/again.toml:"), "{shown:#?}");
        assert!(shown[0].contains("name `rust` is taken by languages/rust.toml"), "{shown:#?}");
    }
}
