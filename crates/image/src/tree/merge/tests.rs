//! What layers come to: for each case the layers, and the tree as a list.

use super::*;
use crate::layer::entry::Content;

/// `d/` is a directory, `f=x` a file, `l>t` a symbolic link, `h:t` a hard link, `-p` a whiteout, `p/!` an opaque
/// directory, `s?` a device.
fn layer(text: &str) -> Index {
    let mut index = Index::default();
    for word in text.split_whitespace() {
        let path = |text: &str| EntryPath::new(text.as_bytes()).unwrap();
        let (at, act) = if let Some(at) = word.strip_prefix('-') {
            (at, Act::Whiteout)
        } else if let Some(at) = word.strip_suffix("/!") {
            (at, Act::Opaque)
        } else if let Some(at) = word.strip_suffix('?') {
            (at, Act::Special)
        } else if let Some((at, target)) = word.split_once('>') {
            (at, Act::Link(Meta::default(), target.as_bytes().into()))
        } else if let Some((at, target)) = word.split_once(':') {
            (at, Act::HardLink(path(target)))
        } else if let Some((at, content)) = word.split_once('=') {
            let size = content.len() as u64;
            (
                at,
                Act::File(
                    Meta::default(),
                    Content { number: 0, size, hash: *blake3::hash(content.as_bytes()).as_bytes() },
                ),
            )
        } else {
            (word, Act::Directory(Meta { mode: 0o700, ..Meta::default() }))
        };
        index.push(Entry { path: path(at), act });
    }
    index
}

fn merged(layers: &[&str]) -> Result<Tree, MergeFault> {
    let layers: Vec<Index> = layers.iter().map(|text| layer(text)).collect();
    merge(&layers).map_err(|error| error.fault)
}

/// Every path of a tree but directories', with what is there.
fn listed(tree: &Tree) -> String {
    fn list(tree: &Tree, id: NodeId, prefix: &str, all: &mut Vec<String>) {
        let Body::Directory(children) = &tree.node(id).body else { return };
        for (name, child) in children {
            let path = format!("{prefix}{}", String::from_utf8_lossy(name));
            match &tree.node(child.node).body {
                Body::Directory(inner) => {
                    if inner.is_empty() {
                        all.push(format!("{path}/"));
                    }
                    list(tree, child.node, &format!("{path}/"), all);
                }
                Body::File(layer, content) => all.push(format!("{path}={layer}.{}", content.size)),
                Body::Link(target) => all.push(format!("{path}>{}", String::from_utf8_lossy(target))),
            }
        }
    }
    let mut all = Vec::new();
    list(tree, Tree::ROOT, "", &mut all);
    all.join(" ")
}

fn check(layers: &[&str], expected: &str) {
    let found = merged(layers).map(|tree| listed(&tree));
    assert_eq!(found.as_deref(), Ok(expected), "{layers:?}");
}

#[test]
fn the_upper_layer_wins() {
    check(&["a=1 b=1", "b=22"], "a=0.1 b=1.2");
    check(&["d/ d/a=1", "d/ d/b=1"], "d/a=0.1 d/b=1.1");
}

#[test]
fn a_whiteout_takes_away_what_lower_layers_have_and_nothing_else() {
    check(&["a=1 b=1", "-a"], "b=0.1");
    check(&["d/x=1 d/y=1", "-d/x"], "d/y=0.1");
    check(&["d/x=1", "-d"], "");
    check(&["a=1", "-nothing -no/where"], "a=0.1");
    for same_layer in ["-a a=22", "a=22 -a"] {
        check(&["a=1", same_layer], "a=1.2");
    }
    for same_layer in ["-d d/ d/new=1", "d/ d/new=1 -d", "d/new=1 -d"] {
        check(&["d/ d/old=1 d/sub/old=1", same_layer], "d/new=1.1");
    }
    check(&["a=1", "-a", "a=333"], "a=2.3");
}

#[test]
fn an_opaque_directory_hides_what_is_below_it_whenever_it_says_so() {
    for upper in ["d/ d/! d/new=1", "d/ d/new=1 d/!", "d/sub/new=1 d/! d/new=1 -d/sub"] {
        let tree = merged(&["d/old=1 d/sub/old=1 e=1", upper]).unwrap();
        let listed = listed(&tree);
        assert!(
            !listed.contains("old") && listed.contains("d/new=1.1") && listed.ends_with("e=0.1"),
            "{upper}: {listed}"
        );
    }
    check(&["a=1 d/x=1", "/! b=1"], "b=1.1");
}

#[test]
fn things_change_their_kind_between_layers() {
    check(&["x/a=1", "x=22"], "x=1.2");
    check(&["x=22", "x/ x/a=1"], "x/a=1.1");
    check(&["x>y y/", "x/ x/a=1"], "x/a=1.1 y/");
    check(&["x/a=1", "x>y"], "x>y");
    check(&["x=1", "x?"], "");
    check(&["x/a=1", "x?"], "");
    check(&["x=1 y:x", "x=22"], "x=1.2 y=0.1");
    assert_eq!(merged(&["x=1", "x/a=1"]), Err(MergeFault::NotADirectory));
}

#[test]
fn a_directory_again_is_the_same_with_other_permissions() {
    let tree = merged(&["d/a=1", "d/"]).unwrap();
    let Body::Directory(children) = &tree.node(Tree::ROOT).body else { panic!() };
    assert_eq!(tree.node(children[&b"d"[..]].node).meta.mode, 0o700);
    assert_eq!(listed(&tree), "d/a=0.1");
}

#[test]
fn paths_lead_through_links_of_the_image_and_never_out_of_it() {
    check(&["usr/lib/ lib>usr/lib", "lib/x=1"], "lib>usr/lib usr/lib/x=1.1");
    check(&["usr/lib/ lib>/usr/lib", "lib/x=1"], "lib>/usr/lib usr/lib/x=1.1");
    check(&["out>../../../../../tmp", "out/x=1"], "out>../../../../../tmp tmp/x=1.1");
    check(&["out>/", "out/x=1"], "out>/ x=1.1");
    check(&["a>b b>c c>.", "a/x=1"], "a>b b>c c>. x=1.1");
    check(&["usr/lib/x=1 lib>usr/lib", "-lib/x"], "lib>usr/lib usr/lib/");
    // The link itself is replaced, not what it leads to.
    check(&["x>y y=1", "x=22"], "x=1.2 y=0.1");
    check(&["x>y y=1", "-x"], "y=0.1");
}

#[test]
fn chains_and_circles_of_links_end() {
    assert_eq!(merged(&["a>b b>a a/x=1"]), Err(MergeFault::Loop));
    assert_eq!(merged(&["a>a a/x=1"]), Err(MergeFault::Loop));
    // Each link doubles the way: without a bound this would be followed 2 to the 40 times.
    let mut text = String::from("l0>.");
    for number in 1..60 {
        text.push_str(&format!(" l{number}>l{0}/l{0}", number - 1));
    }
    assert_eq!(merged(&[&format!("{text} l59/x=1")]), Err(MergeFault::Loop));
}

#[test]
fn links_do_not_help_anybody_to_dig_deeper() {
    let deep = "d/".repeat(200);
    let text = format!("{deep}l>. deep>{deep} {deep}x=1 deep/{deep}y=1");
    assert_eq!(merged(&[&text]), Err(MergeFault::Depth));
}

#[test]
fn hard_links_are_names_of_the_same_file() {
    check(&["a=1 b:a c:b"], "a=0.1 b=0.1 c=0.1");
    check(&["a=1", "b:a"], "a=0.1 b=0.1");
    check(&["usr/a=1 l>usr", "b:l/a"], "b=0.1 l>usr usr/a=0.1");
    check(&["l>t m:l"], "l>t m>t");
    check(&["a=1 a:a"], "a=0.1");
    assert_eq!(merged(&["b:a a=1"]), Err(MergeFault::NoTarget));
    assert_eq!(merged(&["b:no/where"]), Err(MergeFault::NoTarget));
    assert_eq!(merged(&["d/ b:d"]), Err(MergeFault::DirectoryLink));
}

#[test]
fn a_file_counts_once_however_many_names_it_has() {
    let extent = merged(&["a=1 b:a d/ d/c:a", "-b e=2"]).unwrap().extent();
    assert_eq!((extent.entries, extent.own, extent.bytes), (4, 2 * (4096 + 256), 4 * (4096 + 256)));
}

#[test]
fn what_is_no_file_counts_as_well() {
    let own = |text: &str| merged(&[text]).unwrap().extent().own - (4096 + 256);
    assert_eq!(own("l>short"), 256);
    assert_eq!(own(&format!("l>{}", "x".repeat(60))), 4096 + 256);
    assert_eq!(own(&format!("l>{} m:l", "x".repeat(60))), 2 * (4096 + 256));
    let names = |count| (0..count).map(|number| format!("d/{number:0200}=1 ")).collect::<String>();
    assert_eq!(own(&names(10)), 4096 + 256);
    assert!(100 * 200 < own(&names(100)));
    // Disks have a most for the names of a file, and it is copied for more.
    let many = |count| (1..count).fold("d/0=1 ".to_owned(), |text, number| text + &format!("d/{number}:d/0 "));
    assert!(4096 + 256 <= own(&many(65_001)) - own(&many(64_999)));
}

#[test]
fn taking_away_again_and_again_takes_no_longer() {
    let many: String = (0..20_000).map(|number| format!("d/{number}=1 ")).collect();
    let again = "-d d/! ".repeat(20_000);
    let begun = std::time::Instant::now();
    merged(&["d/old=1", &format!("{many}{again}")]).unwrap();
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
