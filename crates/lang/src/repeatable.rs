//! Whether what a job's build steps make can be made once and used again.

use firebox_job::{Sources, StepKind};

use crate::language::{Language, StepSpec};

impl Language {
    /// Whether the same toolchain makes the same program of the same files, as far as the language's file knows: every
    /// step that builds says what it makes, right in the work directory, and no file holds a word that stands for
    /// something else every time.
    ///
    /// A language whose jobs are run as they are has nothing that could be used again.
    pub fn is_repeatable(&self, sources: &Sources) -> bool {
        let mut building = self.steps.iter().filter(|step| step.kind == StepKind::Build).peekable();
        building.peek().is_some() && building.all(|step| says_what_it_makes(step) && !is_volatile(step, sources))
    }
}

fn says_what_it_makes(step: &StepSpec) -> bool {
    step.makes.as_ref().is_some_and(|makes| !makes.as_str().contains('/'))
}

fn is_volatile(step: &StepSpec, sources: &Sources) -> bool {
    let holds = |content: &[u8], word: &str| content.windows(word.len()).any(|part| part == word.as_bytes());
    sources.files().iter().any(|file| step.volatile.iter().any(|word| holds(&file.content, word)))
}

#[cfg(test)]
mod tests {
    use firebox_job::{SourceFile, SourcePath};

    use crate::Catalogue;

    fn is_repeatable(language: &str, files: &[(&str, &[u8])]) -> bool {
        let file = |(path, content): &(&str, &[u8])| SourceFile {
            path: SourcePath::new(*path).unwrap(),
            content: content.to_vec(),
        };
        let sources = firebox_job::Sources::new(files.iter().map(file).collect(), None).unwrap();
        Catalogue::builtin().find(language).unwrap().is_repeatable(&sources)
    }

    #[test]
    fn what_is_compiled_is_repeatable_and_what_is_run_as_it_is_has_nothing_to_repeat() {
        for (language, expected) in [
            ("rust", true),
            ("c", true),
            ("cpp", true),
            ("go", true),
            ("java", true),
            ("python", false),
            ("javascript", false),
            ("bash", false),
        ] {
            assert_eq!(is_repeatable(language, &[("main", b"")]), expected, "{language}");
        }
    }

    #[test]
    fn a_word_that_stands_for_the_moment_is_found_in_any_file() {
        let plain: (&str, &[u8]) = ("main.c", b"int main(void) { return __LINE__; }");
        assert!(is_repeatable("c", &[plain]));
        for word in ["__DATE__", "__TIME__", "__TIMESTAMP__"] {
            let header = format!("é#define NOW {word}");
            assert!(!is_repeatable("c", &[plain, ("now.h", header.as_bytes())]), "{word}");
            assert!(!is_repeatable("cpp", &[("main.cc", word.as_bytes())]), "{word}");
            assert!(is_repeatable("rust", &[("main.rs", word.as_bytes())]), "{word} means nothing to Rust");
        }
    }
}
