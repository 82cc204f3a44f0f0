//! Small plots as SVG, without scripts or fonts of their own.

use std::fmt::Write;

use super::Count;

/// What HTML and SVG must not take for markup.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn longest(counts: &[Count]) -> f64 {
    counts.iter().map(|count| count.count).max().unwrap_or(0).max(1) as f64
}

/// Vertical bars in the order given; the first and last label stand below.
pub fn columns(counts: &[Count], title: &str) -> String {
    const WIDTH: f64 = 720.0;
    const HEIGHT: f64 = 150.0;
    let step = WIDTH / counts.len().max(1) as f64;
    let most = longest(counts);
    let mut out =
        format!("<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">", HEIGHT + 22.0, escape(title));
    for (place, count) in counts.iter().enumerate() {
        let height = count.count as f64 / most * (HEIGHT - 14.0);
        let _ = write!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{}: {}</title></rect>",
            place as f64 * step,
            HEIGHT - height,
            (step - 1.5).max(0.5),
            escape(&count.label),
            count.count
        );
    }
    let _ = write!(out, "<text x=\"0\" y=\"11\">{most}</text>");
    if let (Some(first), Some(last)) = (counts.first(), counts.last()) {
        let _ = write!(
            out,
            "<text x=\"0\" y=\"{0}\">{1}</text><text x=\"{WIDTH}\" y=\"{0}\" text-anchor=\"end\">{2}</text>",
            HEIGHT + 16.0,
            escape(&first.label),
            escape(&last.label)
        );
    }
    out.push_str("</svg>");
    out
}

/// Horizontal bars with a label and a number each.
pub fn bars(counts: &[Count], title: &str) -> String {
    const ROW: f64 = 20.0;
    let most = longest(counts);
    let mut out = format!(
        "<svg viewBox=\"0 0 720 {:.0}\" role=\"img\" aria-label=\"{}\">",
        ROW * counts.len().max(1) as f64,
        escape(title)
    );
    for (place, count) in counts.iter().enumerate() {
        let y = place as f64 * ROW;
        let _ = write!(
            out,
            "<text x=\"250\" y=\"{:.1}\" text-anchor=\"end\">{}</text><rect x=\"258\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            y + 14.0,
            escape(&count.label),
            y + 3.0,
            (count.count as f64 / most * 370.0).max(1.0),
            264.0 + (count.count as f64 / most * 370.0),
            y + 14.0,
            count.count
        );
    }
    out.push_str("</svg>");
    out
}
