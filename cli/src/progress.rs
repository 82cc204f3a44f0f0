//! Progress bars: on a terminal they move, elsewhere they are silent.

use indicatif::{ProgressBar, ProgressStyle};

pub fn bar(prefix: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0).with_prefix(prefix);
    if let Ok(style) = ProgressStyle::with_template("  {prefix} {msg:<14} {bar:32} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar
}
