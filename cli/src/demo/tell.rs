//! What the demo says, and the count of what was true.

use std::time::Duration;

use endcap_recommender::response::{Item, Kind, RecommendationResponse, StockStatus};

#[derive(Debug, Default)]
pub struct Teller {
    steps: u32,
    held: u32,
    failed: Vec<String>,
}

#[allow(clippy::unused_self)] // what is said goes through one mouth
impl Teller {
    pub fn say(&self, text: &str) {
        println!("  {text}");
    }

    pub fn step(&mut self, title: &str) {
        self.steps += 1;
        println!("\n{}. {title}", self.steps);
    }

    /// Whether somebody watches the lines come.
    pub fn is_terminal(&self) -> bool {
        std::io::IsTerminal::is_terminal(&std::io::stdout())
    }

    /// A line that the next one writes over.
    pub fn progress(&self, text: &str) {
        use std::io::Write;
        print!("     {text}\r");
        let _ = std::io::stdout().flush();
    }

    /// What the operator did, as its events say it.
    pub fn event(&self, time: &str, reason: &str, note: &str) {
        println!("     {time}  {reason:<20} {note}");
    }

    /// Shares over time as a row of bars; a mark where the version changes.
    pub fn course(&self, course: &[(jiff::Timestamp, String, f64)]) {
        let most = course.iter().map(|point| point.2).fold(1e-9, f64::max);
        let mut last = "";
        let mut line = String::new();
        for (_, version, share) in course {
            if version != last {
                line.extend([" ", version, " "]);
                last = version;
            }
            let bars = ['\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];
            let at = ((share / most * 8.0).ceil() as usize).clamp(1, 8) - 1;
            line.push(bars.get(at).copied().unwrap_or(' '));
        }
        println!("     click-through, ten seconds a bar, the highest {:.0}%:{line}", 100.0 * most);
    }

    pub fn fact(&self, name: &str, value: &str) {
        println!("  {name:<14} {value}");
    }

    /// Shows an answer as a person would want to read it.
    pub fn answer(&self, answer: &RecommendationResponse, took: Duration) {
        let by = answer.degraded.as_ref().map_or_else(String::new, |degraded| format!(", degraded: {}", degraded.why));
        println!("     {} items by {}{by} in {:.1} ms", answer.items.len(), answer.version, took.as_secs_f64() * 1e3);
        for item in &answer.items {
            println!("     {}", line(item, answer.currency.as_deref()));
        }
    }

    /// A claim that the story makes; it must be true.
    pub fn check(&mut self, claim: &str, holds: bool) {
        println!("     {} {claim}", if holds { "[true]" } else { "[NOT TRUE]" });
        if holds {
            self.held += 1;
        } else {
            self.failed.push(claim.to_owned());
        }
    }

    /// The exit code.
    pub fn verdict(&self, took: Duration) -> i32 {
        println!(
            "\n  {} of {} claims were true; the run took {:.0} s.",
            self.held,
            self.held as usize + self.failed.len(),
            took.as_secs_f64()
        );
        for claim in &self.failed {
            println!("  NOT TRUE: {claim}");
        }
        i32::from(!self.failed.is_empty())
    }
}

fn line(item: &Item, currency: Option<&str>) -> String {
    let kind = match item.kind {
        Kind::CrossSell => "cross-sell",
        Kind::UpsellQuantity => "more of it",
        Kind::UpsellProduct => "better one",
        Kind::Reorder => "reorder",
        Kind::Popular => "popular",
    };
    let price = item.unit_price.map_or_else(String::new, |price| {
        format!("{} {}", endcap_recommender::amount::money_text(price), currency.unwrap_or(""))
    });
    let stock = match item.stock {
        StockStatus::InStock => "",
        StockStatus::LowStock => ", low stock",
        StockStatus::Backordered => ", backordered",
        StockStatus::Unknown => ", stock not known",
    };
    let name: String = item.name.chars().take(34).collect();
    format!(
        "{:>2}. {kind:<10} {name:<34} {:>4} x {price:<10} {}{stock}",
        item.rank,
        item.suggested_quantity.normalize().to_string(),
        item.reason.text
    )
}

pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
