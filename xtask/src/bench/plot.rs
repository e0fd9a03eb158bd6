//! The ratios as a picture: a bar for each comparison that has a target, as long as our time is by that of the bare command, with a mark
//! where it promised to end. By hand, since it is a few dozen rectangles; readable on light and on dark ground.

use std::fmt::Write;

use super::row::{Measured, Row, Target, Verdict};

const WIDTH: f64 = 880.0;
/// Where bars begin; names are to the left of it.
const LEFT: f64 = 350.0;
/// Where the numbers of bars end that reach the edge.
const RIGHT: f64 = 810.0;
const TOP: f64 = 58.0;
const LINE: f64 = 24.0;
const BAR: f64 = 13.0;
/// Longer bars end here, and say so.
const LONGEST: f64 = 1.5;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#222}.small{font-size:11px;fill:#666}\
.pass{fill:#2a8f5b}.miss{fill:#c4533a}.axis{stroke:#999;stroke-width:1}\
.bare{stroke:#222;stroke-width:1.5;stroke-dasharray:4 3}.target{stroke:#222;stroke-width:2.5}\
.ground{fill:#fff}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.small{fill:#999}.pass{fill:#4cc38a}.miss{fill:#ee8166}\
.axis{stroke:#666}.bare,.target{stroke:#eee}.ground{fill:#14181d}}";

/// One bar.
struct Bar<'a> {
    name: &'a str,
    ratio: f64,
    /// Where it promised to end.
    target: f64,
    class: &'static str,
}

/// The picture, with a line below it that says what it was measured on.
pub(super) fn svg(rows: &[Row], measured_on: &str) -> String {
    let bars: Vec<Bar<'_>> = rows.iter().filter_map(bar).collect();
    let bottom = TOP + LINE * bars.len() as f64;
    let height = bottom + 46.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Time in Firebox by time bare\">\n<style>{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>\n"
    );
    text(&mut svg, 12.0, 22.0, "", "Time in a cell by time bare: shorter is faster, 1 is the same");
    text(
        &mut svg,
        12.0,
        40.0,
        "small",
        "The thick mark is the target. Medians, one job after the other, in turns with bare commands.",
    );
    for bar in [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5] {
        let class = if bar == 1.0 { "bare" } else { "axis" };
        line(&mut svg, class, x(bar), TOP - 4.0, bottom);
        text(&mut svg, x(bar) - 9.0, bottom + 16.0, "small", &format!("{bar}"));
    }
    for (index, bar) in bars.iter().enumerate() {
        draw(&mut svg, bar, TOP + LINE * index as f64);
    }
    text(&mut svg, 12.0, bottom + 36.0, "small", measured_on);
    svg + "</svg>\n"
}

/// None for what is no comparison with a target.
fn bar(row: &Row) -> Option<Bar<'_>> {
    let Measured::Pair(pair) = &row.measured else { return None };
    let ratio = pair.ratio();
    let target = match row.target {
        Some(Target::Ratio(most)) => most,
        Some(Target::TimesAsMuch(least)) => 1.0 / least,
        _ => return None,
    };
    let class = if row.verdict() == Verdict::Pass { "pass" } else { "miss" };
    ratio.is_finite().then_some(Bar { name: &row.what, ratio, target, class })
}

fn draw(svg: &mut String, bar: &Bar<'_>, top: f64) {
    let Bar { name, ratio, target, class } = bar;
    let baseline = top + BAR;
    _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{baseline:.1}\" text-anchor=\"end\">{}</text>", LEFT - 8.0, escaped(name));
    let end = x(ratio.min(LONGEST));
    _ = writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{LEFT:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>",
        top + 2.0,
        end - LEFT
    );
    line(svg, "target", x(target.min(LONGEST)), top - 1.0, top + BAR + 5.0);
    let beyond = if LONGEST < *ratio { "→ " } else { "" };
    // Not on top of the mark.
    let clear = if (0.0..0.12).contains(&(target - ratio)) { x(*target) } else { end };
    text(svg, clear + 6.0, baseline, "", &format!("{beyond}{ratio:.2}"));
}

fn x(ratio: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * ratio / LONGEST
}

fn line(svg: &mut String, class: &str, x: f64, from: f64, to: f64) {
    _ = writeln!(svg, "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{from:.1}\" x2=\"{x:.1}\" y2=\"{to:.1}\"/>");
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, words: &str) {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\"{class}>{}</text>", escaped(words));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::row::tests::{row, samples, tenth};
    use super::super::samples::Pair;
    use super::*;

    /// Reads XML of the kind that is written here: elements that nest, attributes in quotes, text without marks.
    fn elements(xml: &str) -> Result<usize, String> {
        let (mut open, mut count, mut rest) = (Vec::new(), 0, xml);
        while let Some((before, after)) = rest.split_once('<') {
            if open.is_empty() && !before.trim().is_empty() {
                return Err(format!("text outside of everything: {before}"));
            }
            check_text(before)?;
            let (tag, after) = after.split_once('>').ok_or("a tag is never closed")?;
            match tag.strip_prefix('/') {
                Some(name) if open.pop() == Some(name) => {}
                Some(name) => return Err(format!("{name} is closed and was not open")),
                None => {
                    let name = tag.split([' ', '/']).next().unwrap_or_default();
                    let attributes = tag[name.len()..].trim_end_matches('/').trim();
                    check_attributes(attributes).map_err(|why| format!("{why} in <{tag}>"))?;
                    count += 1;
                    if !tag.ends_with('/') {
                        open.push(name);
                    }
                }
            }
            rest = after;
        }
        if open.is_empty() && rest.trim().is_empty() { Ok(count) } else { Err(format!("left open: {open:?} {rest}")) }
    }

    fn check_text(text: &str) -> Result<(), String> {
        let entities = ["&amp;", "&lt;", "&gt;", "&quot;"];
        let bare = entities.iter().fold(text.to_owned(), |text, entity| text.replace(entity, ""));
        if bare.contains('&') || bare.contains('>') { Err(format!("a mark in {text}")) } else { Ok(()) }
    }

    fn check_attributes(attributes: &str) -> Result<(), String> {
        let mut rest = attributes;
        while !rest.is_empty() {
            let (name, after) = rest.split_once("=\"").ok_or("no value")?;
            let (value, after) = after.split_once('"').ok_or("no end of a value")?;
            let is_number = ["x", "y", "x1", "x2", "y1", "y2", "width", "height"].contains(&name.trim());
            if is_number && !value.parse::<f64>().is_ok_and(|value| value.is_finite() && 0.0 <= value) {
                return Err(format!("{name} is {value}"));
            }
            rest = after.trim_start();
        }
        Ok(())
    }

    fn ratio_of(ours: u64, bare: u64) -> Measured {
        Measured::Pair(Pair { ours: samples(&[ours]), bare: samples(&[bare]) })
    }

    #[test]
    fn the_reader_of_these_tests_finds_what_is_wrong() {
        for broken in ["<a><b></a></b>", "<a x=\"NaN\"/>", "<a>1 & 2</a>", "<a>", "<a x=\"-1\"/>", "<a x=1/>", "<a/>b"]
        {
            assert!(elements(broken).is_err(), "{broken}");
        }
        assert_eq!(elements("<a x=\"1\"><b/>c &amp; d</a>"), Ok(2));
    }

    #[test]
    fn it_is_xml_whatever_the_numbers_and_the_names_are() {
        let named = Row { what: "a < b & \"c\"".to_owned(), ..row(Some(Target::Ratio(0.3)), tenth()) };
        let rows = [
            named,
            row(Some(Target::Ratio(1.0)), ratio_of(900, 100)),
            row(Some(Target::TimesAsMuch(3.0)), ratio_of(1, 2)),
            row(Some(Target::Ratio(1.0)), ratio_of(1, 0)),
            row(Some(Target::Ratio(1.0)), ratio_of(0, 0)),
            row(None, ratio_of(1, 2)),
            row(None, Measured::Skipped { why: "x".to_owned() }),
        ];
        let svg = svg(&rows, "on <this> & that");
        elements(&svg).unwrap_or_else(|why| panic!("{why}\n{svg}"));
        assert!(["NaN", ">inf<", " inf<"].iter().all(|word| !svg.contains(word)), "{svg}");
        // The ground, and a bar for each of the three that are comparisons.
        assert_eq!(svg.matches("<rect").count(), 4, "{svg}");
        assert!(svg.contains("→ 9.00") && svg.contains("prefers-color-scheme:dark"), "{svg}");
        elements(&self::svg(&[], "")).unwrap();
    }
}
