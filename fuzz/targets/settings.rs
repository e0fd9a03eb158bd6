//! A file with settings: read or refused, and read the same when what it says is typed.
#![no_main]

// The product is a program and no library: what reads its settings is compiled in here once more.
#[path = "../../crates/cli/src/duration.rs"]
mod duration;
#[path = "../../crates/cli/src/args/serve.rs"]
mod serve;

use libfuzzer_sys::{Corpus, fuzz_target};

use crate::serve::ServeWords;

fuzz_target!(|text: &str| -> Corpus {
    match toml::from_str::<ServeWords>(text) {
        Ok(words) => {
            assert_eq!(words.clone().or(ServeWords::default()), words, "nothing was added, and it has changed");
            assert_eq!(
                ServeWords::default().or(words.clone()),
                words,
                "what was typed was nothing, and it has changed"
            );
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    Corpus::Keep
});
