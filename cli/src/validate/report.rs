//! What came of all scenarios: as text for a terminal, and as JSON. The page is made from the same.

use std::fmt::Write;

use endcap_recommender::RecommendationRequest;
use endcap_recommender::amount::money_text;
use endcap_recommender::fitted::Catalogue;
use endcap_recommender::response::Item;
use serde::Serialize;

use super::ask::Answer;
use super::file::Situation;
use super::judge::{Check, kind_name};

pub const FORMAT: &str = "endcap.scenario-report/v1";
/// Expectations wider than this have what came on a line of its own.
const WIDE: usize = 64;

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub format: &'static str,
    pub title: Option<String>,
    pub model: String,
    pub version: String,
    /// SHA-256 of the artifact's manifest.
    pub artifact_sha256: String,
    /// SHA-256 of the scenario file.
    pub scenarios_sha256: String,
    /// SHA-256 of the rules that the answers keep.
    pub policy_sha256: String,
    pub currency: Option<String>,
    pub passed: usize,
    pub failed: usize,
    pub scenarios: Vec<Outcome>,
}

/// One scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub name: String,
    pub why: String,
    pub line: Option<usize>,
    pub passed: bool,
    /// The situation in words.
    pub situation: Vec<String>,
    pub request: RecommendationRequest,
    pub checks: Vec<Check>,
    pub items: Vec<Item>,
}

/// A situation in words, with the names of products.
pub fn told(situation: &Situation, answer: &Answer, catalogue: &Catalogue) -> Vec<String> {
    let request = &answer.request;
    let name = |id: &str| {
        let name = catalogue.find(id).map(|product| catalogue.name(product)).filter(|name| !name.is_empty());
        name.map_or_else(|| id.to_owned(), |name| format!("{name} ({id})"))
    };
    let list = |texts: &[super::words::Text]| texts.iter().map(|text| name(text)).collect::<Vec<_>>().join(", ");
    let mut said = vec![match &request.customer_id {
        Some(customer) => format!("customer {customer}"),
        None => "somebody unknown".to_owned(),
    }];
    let mut say = |text: String| said.push(text);
    if let Some(orders) = &situation.past_orders {
        say(format!("with {} past orders", orders.len()));
    }
    let context = &request.context;
    let details = [&context.customer_type, &context.age_band, &context.city_id, &context.area_id, &context.country];
    for detail in details.into_iter().flatten() {
        say(detail.clone());
    }
    say(format!("at {}", request.placement.as_str()));
    if let Some(channel) = context.channel {
        say(format!("channel {}", channel.as_str()));
    }
    say(answer.at.to_string());
    if let Some(product) = &request.product_id {
        say(format!("looking at {}", name(product)));
    }
    let cart = request.cart.iter().map(|line| format!("{} x {}", line.quantity.normalize(), name(&line.product_id)));
    let cart: Vec<String> = cart.collect();
    say(if cart.is_empty() { "empty order".to_owned() } else { format!("order: {}", cart.join(", ")) });
    for declined in situation.declined.iter().flatten() {
        let what = declined.product.as_ref().map(|product| name(product));
        let what = what.or_else(|| declined.offer.as_ref().map(|offer| format!("the offer {offer}")));
        say(format!("declined {} {} times", what.unwrap_or_default(), declined.times.unwrap_or(1)));
    }
    if situation.everything_out_of_stock == Some(true) {
        say("everything out of stock".to_owned());
    }
    for (product, level) in situation.stock.iter().flatten() {
        say(format!("{} of {} in stock", level.on_hand.0.normalize(), name(product)));
    }
    for (product, price) in situation.prices.iter().flatten() {
        say(format!("{} costs {}", name(product), money_text(price.0)));
    }
    for (list_of, what) in [(&situation.off_sale, "not sold any more"), (&situation.blocked, "blocked")] {
        if let Some(products) = list_of {
            say(format!("{what}: {}", list(products)));
        }
    }
    for (list_of, what) in [(&situation.blocked_categories, "categories"), (&situation.blocked_brands, "brands")] {
        if let Some(ids) = list_of {
            say(format!("blocked {what}: {}", ids.iter().map(|id| id.0.as_str()).collect::<Vec<_>>().join(", ")));
        }
    }
    for (a, b) in situation.forbidden_pairs.iter().flatten() {
        say(format!("never together: {} and {}", name(a), name(b)));
    }
    if let Some(offers) = &situation.offers {
        let ids: Vec<&str> = offers.iter().map(|offer| &*offer.offer_id).collect();
        say(if ids.is_empty() { "no offers".to_owned() } else { format!("only the offers {}", ids.join(", ")) });
    }
    if let Some(most) = situation.max_offer_items {
        say(format!("at most {most} offers in a list"));
    }
    said
}

impl Report {
    /// For a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let title = self.title.as_deref().unwrap_or("Business scenarios");
        let digest: String = self.artifact_sha256.chars().take(12).collect();
        let _ = writeln!(text, "{title}\nheld against {} (artifact {digest})", self.version);
        for outcome in &self.scenarios {
            self.one(&mut text, outcome);
        }
        let _ = writeln!(text, "\n{} of {} scenarios passed", self.passed, self.passed + self.failed);
        for outcome in self.scenarios.iter().filter(|outcome| !outcome.passed) {
            let _ = writeln!(text, "  failed: {}{}", outcome.name, at_line(outcome.line));
        }
        text
    }

    fn one(&self, text: &mut String, outcome: &Outcome) {
        let verdict = if outcome.passed { "PASS" } else { "FAIL" };
        let _ = writeln!(text, "\n{verdict}  {}{}", outcome.name, at_line(outcome.line));
        let _ = writeln!(text, "      {}", outcome.why.trim());
        let _ = writeln!(text, "      {}", outcome.situation.join("; "));
        let widths = outcome.checks.iter().map(|check| check.expected.chars().count());
        let width = widths.filter(|width| *width <= WIDE).max().unwrap_or(0).max("expected".len());
        let _ = writeln!(text, "           {:width$}  came", "expected");
        for check in &outcome.checks {
            let verdict = if check.passed { "ok  " } else { "FAIL" };
            if check.expected.chars().count() <= width {
                let _ = writeln!(text, "      {verdict} {:width$}  {}", check.expected, check.came);
            } else {
                let _ = writeln!(text, "      {verdict} {}\n           {:width$}  {}", check.expected, "", check.came);
            }
        }
        for item in &outcome.items {
            let _ = writeln!(
                text,
                "      {:>4}. {:<15} {} x {} ({}){}",
                item.rank,
                kind_name(item.kind),
                item.suggested_quantity.normalize(),
                item.name,
                item.product_id,
                self.offer(item)
            );
        }
    }

    /// The offer of an item, in words; empty where it has none.
    pub fn offer(&self, item: &Item) -> String {
        let Some(offer) = &item.offer else { return String::new() };
        let currency = self.currency.as_deref().map(|currency| format!(" {currency}")).unwrap_or_default();
        let free = if offer.free.is_zero() { String::new() } else { format!(", {} free", offer.free.normalize()) };
        format!(
            ", {}: add {}{free}, saves {}{currency}",
            offer.offer_id,
            offer.add.normalize(),
            money_text(offer.saves)
        )
    }
}

fn at_line(line: Option<usize>) -> String {
    line.map(|line| format!(" (line {line})")).unwrap_or_default()
}
