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

/// A dot for each peer on a logarithmic axis; left of the line is better than
/// the yardstick.
pub fn svg(rows: &[Row], peers: &[&Peer]) -> String {
    const COLOURS: [&str; 7] =
        ["#bbbbbb", "#d62728", "#000000", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e"];
    const LEFT: f64 = 330.0;
    const WIDTH: f64 = 460.0;
    let x = |ratio: f64| LEFT + WIDTH * ((ratio.clamp(0.125, 8.0)).log2() + 3.0) / 6.0;
    let height = 60 + 18 * rows.len();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"830\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"830\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (ratio, label) in [(0.125, "1/8"), (0.5, "1/2"), (1.0, "1"), (2.0, "2"), (8.0, "8")] {
        let colour = if ratio == 1.0 { "#000000" } else { "#dddddd" };
        let x = x(ratio);
        writeln!(
            out,
            "<line x1=\"{x}\" x2=\"{x}\" y1=\"40\" y2=\"{}\" stroke=\"{colour}\"/>\
             <text x=\"{x}\" y=\"35\" text-anchor=\"middle\">{label}</text>",
            height - 10
        )
        .unwrap();
    }
    for (n, peer) in peers.iter().enumerate() {
        let (x, colour) = (20 + 116 * n, COLOURS[n % COLOURS.len()]);
        writeln!(
            out,
            "<circle cx=\"{x}\" cy=\"12\" r=\"4\" fill=\"{colour}\"/><text x=\"{}\" y=\"16\">{}</text>",
            x + 9,
            peer.name
        )
        .unwrap();
    }
    for (n, row) in rows.iter().enumerate() {
        let y = 52 + 18 * n;
        writeln!(out, "<text x=\"10\" y=\"{}\">{}</text>", y + 4, row.name).unwrap();
        for (peer, colour) in peers.iter().zip(COLOURS) {
            let Some(ratio) = row.ratio(peer.name) else { continue };
            let (x, radius) = (x(ratio), if peer.name == "drainit" { 5 } else { 3 });
            writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y}\" r=\"{radius}\" fill=\"{colour}\"/>")
                .unwrap();
        }
    }
    out.push_str("</svg>\n");
    out
}
