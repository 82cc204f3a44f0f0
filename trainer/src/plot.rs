//! Dots with whiskers as inline SVG, and the small writing that pages and cards share. Horizontal places are percentages and vertical
//! ones pixels, so that a plot takes the width it is given and its text keeps its size, on a telephone too.

use std::fmt::Write;

/// What the classes of [`Plot::svg`] look like. The page gives the colours: `--ink`, `--soft`, `--line`, `--ground`, `--strong`.
pub(crate) const STYLE: &str = include_str!("plot.css");

/// Where the axis begins and ends, in percent of the width.
const LEFT: f64 = 1.5;
const RIGHT: f64 = 98.5;
/// Pixels between them and words, so that their lines do not run through these.
const INSET: usize = 9;
/// Pixels: a point's height, its words' base line and its whisker in it, half the height of a whisker's ends, and the axis below all.
const ROW: usize = 40;
const WORDS: usize = 15;
const WHISKER: usize = 28;
const END: usize = 4;
const AXIS: usize = 24;

/// How a point is drawn. All differ in shape, so that none needs colour to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Plain,
    /// A diamond and heavy lines.
    Strong,
    /// An open circle and a dashed whisker.
    Open,
}

impl Mark {
    fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Strong => "strong",
            Self::Open => "open",
        }
    }
}

/// A value with its interval.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub label: String,
    pub value: f64,
    pub low: f64,
    pub high: f64,
    pub mark: Mark,
}

/// Points below one another over one axis that holds 0.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plot {
    /// What is shown, for who cannot see it; the points are added.
    pub about: String,
    pub points: Vec<Point>,
    /// Values are differences: written with their sign.
    pub signed: bool,
    /// About how many steps the axis has.
    pub steps: u32,
}

impl Plot {
    /// The plot; nothing where there is no finite point.
    pub fn svg(&self) -> String {
        let points: Vec<&Point> = self
            .points
            .iter()
            .filter(|point| [point.value, point.low, point.high].iter().all(|number| number.is_finite()))
            .collect();
        if points.is_empty() {
            return String::new();
        }
        let axis = Axis::new(points.iter().flat_map(|point| [point.value, point.low, point.high]), self.steps);
        let floor = points.len() * ROW + 4;
        let mut svg = format!(
            "<svg class=\"{}\" role=\"img\" width=\"100%\" height=\"{}\" aria-label=\"{}\">\n",
            if self.signed { "plot signed" } else { "plot" },
            floor + AXIS,
            escape(&self.told(&points))
        );
        for at in axis.first..=axis.last {
            let (x, class) = (axis.x(at as f64 * axis.step), if at == 0 { "zero" } else { "grid" });
            let _ = writeln!(svg, "<line class=\"{class}\" x1=\"{x:.3}%\" x2=\"{x:.3}%\" y1=\"0\" y2=\"{floor}\"/>");
            let anchor = if at == axis.last {
                "end"
            } else if at == axis.first && at < 0 {
                "start"
            } else {
                "middle"
            };
            let tick = fixed(at as f64 * axis.step, axis.decimals());
            let y = floor + 16;
            let _ =
                writeln!(svg, "<text class=\"tick\" x=\"{x:.3}%\" y=\"{y}\" text-anchor=\"{anchor}\">{tick}</text>");
        }
        for (at, point) in points.into_iter().enumerate() {
            self.draw(&mut svg, &axis, point, at * ROW);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn written(&self, value: f64) -> String {
        if self.signed { signed(value, 4) } else { fixed(value, 4) }
    }

    fn told(&self, points: &[&Point]) -> String {
        let each: Vec<String> = points
            .iter()
            .map(|point| {
                let [value, low, high] = [point.value, point.low, point.high].map(|number| self.written(number));
                format!("{} {value} ({low} to {high})", point.label)
            })
            .collect();
        format!("{}: {}", self.about, each.join("; "))
    }

    fn draw(&self, svg: &mut String, axis: &Axis, point: &Point, top: usize) {
        let [value, low, high] = [point.value, point.low, point.high].map(|number| axis.x(number));
        let (words, middle) = (top + WORDS, top + WHISKER);
        let (above, below) = (middle - END, middle + END);
        let _ = writeln!(svg, "<g class=\"{}\">", point.mark.class());
        let _ = writeln!(
            svg,
            "<text class=\"label\" x=\"{LEFT}%\" dx=\"{INSET}\" y=\"{words}\">{}</text>",
            escape(&point.label)
        );
        let [number, from, to] = [point.value, point.low, point.high].map(|number| self.written(number));
        let _ = writeln!(
            svg,
            "<text class=\"value\" x=\"{RIGHT}%\" dx=\"-{INSET}\" y=\"{words}\" text-anchor=\"end\">{number}\
             <tspan class=\"interval\"> ({from} to {to})</tspan></text>"
        );
        let _ = writeln!(
            svg,
            "<line class=\"whisker\" x1=\"{low:.3}%\" x2=\"{high:.3}%\" y1=\"{middle}\" y2=\"{middle}\"/>"
        );
        for x in [low, high] {
            let _ = writeln!(svg, "<line class=\"end\" x1=\"{x:.3}%\" x2=\"{x:.3}%\" y1=\"{above}\" y2=\"{below}\"/>");
        }
        let _ = match point.mark {
            Mark::Strong => writeln!(
                svg,
                "<svg x=\"{value:.3}%\" y=\"{middle}\" overflow=\"visible\"><path class=\"dot\" d=\"M-7 0L0-7L7 0L0 7Z\"/></svg>"
            ),
            Mark::Plain | Mark::Open => {
                writeln!(svg, "<circle class=\"dot\" cx=\"{value:.3}%\" cy=\"{middle}\" r=\"4.5\"/>")
            }
        };
        svg.push_str("</g>\n");
    }
}

/// A scale of round steps that holds 0 and all values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    step: f64,
    /// In steps.
    first: i64,
    last: i64,
}

impl Axis {
    /// `values` are finite.
    pub fn new(values: impl Iterator<Item = f64>, steps: u32) -> Self {
        let (low, high) = values.fold((0.0f64, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
        let span = if high > low { high - low } else { 1.0 };
        let least = span / f64::from(steps.max(1));
        let power = 10f64.powf(least.log10().floor());
        let times = [1.0, 2.0, 5.0].into_iter().find(|times| power * times >= least * (1.0 - 1e-9)).unwrap_or(10.0);
        let step = power * times;
        // Not one step more for the last bit of a division.
        let last = (high / step - 1e-9).ceil() as i64;
        Self {
            step,
            first: (low / step + 1e-9).floor() as i64,
            last: if high > low { last } else { (1.0 / step) as i64 },
        }
    }

    /// Percent of the width.
    pub fn x(&self, value: f64) -> f64 {
        let steps = (self.last - self.first).max(1) as f64;
        LEFT + (value / self.step - self.first as f64) / steps * (RIGHT - LEFT)
    }

    fn decimals(&self) -> usize {
        (-self.step.log10() - 1e-9).ceil().clamp(0.0, 12.0) as usize
    }
}

/// Text for HTML and its attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// With so many decimals and a minus that is as wide as a plus; no sign at what is written as 0.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    if value < 0.0 && is_not_zero(&text) { format!("\u{2212}{text}") } else { text }
}

/// [`fixed`], with a plus.
pub(crate) fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    if value > 0.0 && is_not_zero(&text) { format!("+{text}") } else { text }
}

fn is_not_zero(text: &str) -> bool {
    text.bytes().any(|letter| !matches!(letter, b'0' | b'.'))
}

/// A count with its thousands set apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn point(label: &str, [low, value, high]: [f64; 3], mark: Mark) -> Point {
        Point { label: label.to_owned(), value, low, high, mark }
    }

    fn plot(points: Vec<Point>) -> Plot {
        Plot { about: "NDCG by model".to_owned(), points, signed: false, steps: 5 }
    }

    #[test]
    fn an_axis_has_round_steps_and_holds_zero() {
        let axis = Axis::new([0.0831, 0.3023].into_iter(), 5);
        assert_eq!((axis.first, axis.last, axis.decimals()), (0, 4, 1));
        assert!((axis.step - 0.1).abs() < 1e-12);
        let axis = Axis::new([-0.002, 0.0136].into_iter(), 5);
        assert_eq!((axis.first, axis.last, axis.decimals()), (-1, 3, 3));
        assert!((axis.step - 0.005).abs() < 1e-12);
        let axis = Axis::new([0.3].into_iter(), 3);
        assert_eq!((axis.first, axis.last), (0, 3));
        let axis = Axis::new([-0.0, 0.0].into_iter(), 5);
        assert_eq!((axis.first, axis.last), (0, 5));
    }

    #[test]
    fn whiskers_end_where_the_interval_does() {
        // Steps of 0.2 from 0 to 1: a hundredth of the axis is 0.97% of the width.
        let svg =
            plot(vec![point("one", [0.25, 0.5, 0.75], Mark::Plain), point("two", [0.9, 1.0, 1.0], Mark::Open)]).svg();
        assert!(svg.contains(r#"<line class="whisker" x1="25.750%" x2="74.250%" y1="28" y2="28"/>"#), "{svg}");
        assert!(svg.contains(r#"<line class="end" x1="25.750%" x2="25.750%" y1="24" y2="32"/>"#), "{svg}");
        assert!(svg.contains(r#"<line class="end" x1="74.250%" x2="74.250%" y1="24" y2="32"/>"#), "{svg}");
        assert!(svg.contains(r#"<circle class="dot" cx="50.000%" cy="28" r="4.5"/>"#), "{svg}");
        assert!(svg.contains(r#"<line class="whisker" x1="88.800%" x2="98.500%" y1="68" y2="68"/>"#), "{svg}");
        assert!(svg.contains(r#"<line class="zero" x1="1.500%" x2="1.500%""#), "{svg}");
    }

    #[test]
    fn differences_have_their_zero_inside_and_their_signs() {
        let svg = Plot { signed: true, ..plot(vec![point("x", [-0.1, 0.1, 0.3], Mark::Strong)]) }.svg();
        assert!(svg.contains(r#"<line class="zero" x1="25.750%" x2="25.750%""#), "{svg}");
        assert!(svg.contains(r#"<svg x="50.000%" y="28" overflow="visible">"#), "{svg}");
        assert!(svg.contains("+0.1000<tspan class=\"interval\"> (\u{2212}0.1000 to +0.3000)</tspan>"), "{svg}");
    }

    #[test]
    fn a_plot_tells_itself_and_escapes() {
        let svg = plot(vec![point("<b>\"a\" & 'b'", [0.1, 0.2, 0.3], Mark::Plain)]).svg();
        let told = "NDCG by model: &lt;b&gt;&quot;a&quot; &amp; &#39;b&#39; 0.2000 (0.1000 to 0.3000)";
        assert!(svg.contains(&format!("role=\"img\" width=\"100%\" height=\"68\" aria-label=\"{told}\"")), "{svg}");
        assert!(!svg.contains("<b>"));
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        assert_eq!(plot(vec![point("x", [0.0, f64::NAN, 1.0], Mark::Plain)]).svg(), "");
        let svg = plot(vec![
            point("gone", [0.0, f64::INFINITY, 1.0], Mark::Plain),
            point("here", [0.0, 0.5, 1.0], Mark::Plain),
        ]);
        assert!(svg.svg().contains("here") && !svg.svg().contains("gone"));
    }

    #[test]
    fn numbers_are_written() {
        assert_eq!(fixed(-0.0, 4), "0.0000");
        assert_eq!(fixed(-0.000_01, 4), "0.0000");
        assert_eq!(signed(0.000_01, 4), "0.0000");
        assert_eq!(signed(0.011_91, 4), "+0.0119");
        assert_eq!(signed(-1.5, 1), "\u{2212}1.5");
        assert_eq!(
            [0, 12, 999, 1000, 1_234_567].map(count),
            ["0", "12", "999", "1,000", "1,234,567"].map(str::to_owned)
        );
    }
}
