//! The same rows as a table for the terminal, as JSON, and as a picture.

use std::fmt::Write;

use crate::measure::Row;
use crate::{Peer, YARDSTICK};

pub fn table(rows: &[Row], peers: &[&Peer]) -> String {
    let mut out = String::new();
    write!(out, "{:46}", format!("medians, as ratios to {YARDSTICK}")).unwrap();
    for peer in peers {
        write!(out, "{:>12}", peer.name).unwrap();
    }
    out.push('\n');
    for row in rows {
        write!(out, "{:46}", row.name).unwrap();
        for peer in peers {
            let cell = match (row.medians.get(peer.name), row.ratio(peer.name)) {
                (Some(own), _) if peer.name == YARDSTICK => format!("{own:.0} {}", row.unit),
                (Some(_), Some(ratio)) => format!("{ratio:.2}"),
                _ => "-".to_owned(),
            };
            write!(out, "{cell:>12}").unwrap();
        }
        out.push('\n');
    }
    out
}

pub fn json(rows: &[Row], peers: &[&Peer]) -> String {
    let object = |row: &Row| {
        let values = peers.iter().filter_map(|peer| {
            let (own, ratio) = (row.medians.get(peer.name)?, row.ratio(peer.name)?);
            let ratio = if ratio.is_finite() { format!("{ratio:.3}") } else { "null".to_owned() };
            Some(format!("\"{}\": {{\"median\": {own:.2}, \"ratio\": {ratio}}}", peer.name))
        });
        let values = values.collect::<Vec<_>>().join(", ");
        format!("  {{\"name\": \"{}\", \"unit\": \"{}\", {values}}}", row.name, row.unit)
    };
    format!("[\n{}\n]\n", rows.iter().map(object).collect::<Vec<_>>().join(",\n"))
}

/// What a picture shows of a row: a title, then a lane for each peer whose name
/// would run into another's.
const WIDTH: f64 = 400.0;
/// From the smallest ratio that is told apart to the largest.
const AXIS: (f64, f64) = (0.1, 10.0);
const MARGIN: f64 = 12.0;
const TOP: f64 = 34.0;
const TITLE: f64 = 18.0;
const LANE: f64 = 14.0;
const LETTER: f64 = 6.3;

/// The reader's own scheme, as the page around it has it.
const STYLE: &str = "
text { font: 11px sans-serif; fill: #1f2328; stroke: #ffffff; stroke-width: 3px; paint-order: stroke }
.title { font-weight: bold }
.ours { font-weight: bold; fill: #0550ae }
.faint { fill: #59636e }
rect { fill: #ffffff }
line { stroke: #d1d9e0 }
line.one { stroke: #59636e }
circle { fill: #59636e }
circle.ours { fill: #0550ae }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; stroke: #0d1117 }
.ours { fill: #58a6ff }
.faint { fill: #9198a1 }
rect { fill: #0d1117 }
line { stroke: #3d444d }
line.one { stroke: #9198a1 }
circle { fill: #9198a1 }
circle.ours { fill: #58a6ff }
}
";

/// A dot for each peer on a logarithmic axis, its name beside it; left of the line
/// is less than the yardstick. Only rows of PID 1 and of no place in particular:
/// elsewhere they look the same. It is to be read at 400 pixels.
pub fn svg(rows: &[Row], peers: &[&Peer]) -> String {
    let rows: Vec<&Row> = rows.iter().filter(|row| !row.name.ends_with(", plain")).collect();
    let mut body = String::new();
    let mut y = TOP;
    for row in rows {
        let title = row.name.trim_end_matches(", PID 1");
        y += TITLE;
        writeln!(body, "<text class=\"title\" x=\"{MARGIN}\" y=\"{y:.0}\">{title}</text>").unwrap();
        let mut dots: Vec<(f64, &str)> = peers
            .iter()
            .filter(|peer| peer.name != YARDSTICK)
            .filter_map(|peer| Some((row.ratio(peer.name)?, peer.name)))
            .collect();
        dots.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Where the text of each lane ends.
        let mut lanes: Vec<f64> = Vec::new();
        for (ratio, name) in dots {
            let (x, ours) = (place(ratio), name == "drainit");
            let label = match name {
                "drainit" => format!("{name} {ratio:.2}"),
                "none" => "no init".to_owned(),
                _ => name.to_owned(),
            };
            let length = label.len() as f64 * LETTER;
            let fits = x + 7.0 + length < WIDTH;
            let (from, to) =
                if fits { (x - 6.0, x + 9.0 + length) } else { (x - 9.0 - length, x + 6.0) };
            let lane = match lanes.iter().position(|end| *end < from) {
                Some(lane) => lane,
                None => {
                    lanes.push(0.0);
                    lanes.len() - 1
                }
            };
            lanes[lane] = to;
            let class = if ours { " class=\"ours\"" } else { "" };
            let middle = y + LANE * (lane as f64 + 0.8);
            let (at, anchor) = if fits { (x + 7.0, "start") } else { (x - 7.0, "end") };
            writeln!(
                body,
                "<circle{class} cx=\"{x:.1}\" cy=\"{middle:.1}\" r=\"4\"/>\
                 <text{class} x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{label}</text>",
                middle + 4.0
            )
            .unwrap();
        }
        y += LANE * lanes.len() as f64 + 4.0;
    }
    let height = y + MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {WIDTH} {height:.0}\">\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\"/>\n\
         <text class=\"faint\" x=\"{:.0}\" y=\"14\" text-anchor=\"middle\">{YARDSTICK}</text>\n",
        place(1.0)
    );
    for (ratio, label) in [(0.1, "1/10"), (0.5, "1/2"), (1.0, "1"), (2.0, "2"), (10.0, "10")] {
        let x = place(ratio);
        let class = if ratio == 1.0 { " class=\"one\"" } else { "" };
        writeln!(
            out,
            "<line{class} x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{:.0}\"/>\
             <text class=\"faint\" x=\"{x:.1}\" y=\"28\" text-anchor=\"middle\">{label}</text>",
            height - MARGIN
        )
        .unwrap();
    }
    out + &body + "</svg>\n"
}

fn place(ratio: f64) -> f64 {
    let (least, most) = AXIS;
    let part = (ratio.clamp(least, most) / least).ln() / (most / least).ln();
    2.0 * MARGIN + part * (WIDTH - 4.0 * MARGIN)
}
