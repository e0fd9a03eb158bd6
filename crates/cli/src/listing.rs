//! Languages as `firebox languages` shows them: lines of a table.

use firebox_api::{ListedOption, Listing};

use crate::table::table;

/// The table, and below it what is missing.
pub(crate) fn rendered(listings: &[Listing]) -> String {
    let header = ["LANGUAGE", "ALIASES", "VERSION", "PROGRAM", "OPTIONS"].map(str::to_owned);
    let mut rows = vec![header];
    for listing in listings {
        let options: Vec<String> = listing.options.iter().map(option_in_words).collect();
        rows.push([
            listing.name.clone(),
            or_dash(listing.aliases.join(", ")),
            or_dash(listing.version.clone().unwrap_or_default()),
            if listing.missing.is_some() { "missing".to_owned() } else { or_dash(program_in_words(listing)) },
            or_dash(options.join(", ")),
        ]);
    }
    let mut text = table(&rows);
    for missing in listings.iter().filter_map(|listing| listing.missing.as_ref()) {
        text.push_str(&format!("\n{missing}\n"));
    }
    text
}

/// `/usr/bin/python3`, or `python: /usr/local/bin/python3` of an image.
fn program_in_words(listing: &Listing) -> String {
    let program = listing.program.clone().unwrap_or_default();
    listing.image.as_ref().map_or(program.clone(), |image| format!("{image}: {program}"))
}

/// `edition=2015|2018|2021|*2024*`: the value between stars is the one that applies when nothing is said.
fn option_in_words(option: &ListedOption) -> String {
    let values = option.values.iter().map(|value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if *value == option.default { format!("*{text}*") } else { text }
    });
    format!("{}={}", option.name, values.collect::<Vec<_>>().join("|"))
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use firebox_api::ListedProgram;

    use super::*;

    fn listings() -> Vec<Listing> {
        let option = ListedOption {
            name: "edition".to_owned(),
            values: vec![2021.into(), 2024.into()],
            default: 2024.into(),
            help: "Which edition.".to_owned(),
        };
        let rust = Listing {
            name: "rust".to_owned(),
            aliases: vec!["rs".to_owned()],
            extensions: vec!["rs".to_owned()],
            entry: "main.rs".to_owned(),
            version: Some("1.95.0".to_owned()),
            image: None,
            program: Some("/usr/bin/rustc".to_owned()),
            programs: vec![ListedProgram { name: "rustc".to_owned(), path: "/usr/bin/rustc".to_owned() }],
            options: vec![option],
            missing: None,
        };
        let missing = Listing {
            name: "c".to_owned(),
            aliases: Vec::new(),
            extensions: Vec::new(),
            entry: "main.c".to_owned(),
            version: None,
            image: None,
            program: None,
            programs: Vec::new(),
            options: Vec::new(),
            missing: Some("c needs `cc`; install gcc".to_owned()),
        };
        vec![rust, missing]
    }

    #[test]
    fn the_table_shows_what_is_there_and_says_what_to_install() {
        assert_eq!(
            rendered(&listings()),
            "\
LANGUAGE  ALIASES  VERSION  PROGRAM         OPTIONS
rust      rs       1.95.0   /usr/bin/rustc  edition=2021|*2024*
c         -        -        missing         -

c needs `cc`; install gcc
"
        );
    }

    #[test]
    fn a_program_of_an_image_is_told_with_the_image() {
        let [rust, _] = listings().try_into().unwrap();
        let on_image = Listing { image: Some("rust".to_owned()), ..rust };
        assert!(rendered(&[on_image]).contains(" rust: /usr/bin/rustc "));
    }

    #[test]
    fn the_json_says_the_same_as_data() {
        let json = serde_json::to_string(&listings()[0]).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"name":"rust","aliases":["rs"],"extensions":["rs"],"entry":"main.rs","version":"1.95.0","#,
                r#""image":null,"program":"/usr/bin/rustc","programs":[{"name":"rustc","path":"/usr/bin/rustc"}],"#,
                r#""options":[{"name":"edition","values":[2021,2024],"default":2024,"help":"Which edition."}],"#,
                r#""missing":null}"#,
            )
        );
    }
}
