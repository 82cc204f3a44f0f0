//! What was expected against what came.

use endcap_recommender::amount::money_text;
use endcap_recommender::fitted::Catalogue;
use endcap_recommender::response::{Item, Kind, StockStatus};
use rust_decimal::Decimal;
use serde::Serialize;

use super::ask::Answer;
use super::file::{Expect, Wanted};

/// One expectation, held against the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// In plain words.
    pub expected: String,
    pub came: String,
    pub passed: bool,
}

/// How many items a check names.
const NAMED: usize = 4;

/// Products whose absence is to be explained: a failure where they must come, and else the reason why they never would.
pub fn looked_for(expect: &Expect) -> Vec<&str> {
    let wanted = expect.first.iter().chain(&expect.must_contain).chain(&expect.must_not_contain);
    wanted.filter_map(|wanted| wanted.product.as_deref()).collect()
}

/// Holds every expectation against the answer.
pub fn judge(expect: &Expect, answer: &Answer, catalogue: &Catalogue) -> Vec<Check> {
    let judge = Judge { answer, catalogue };
    let items = &answer.items;
    let mut checks = Vec::new();
    let mut check = |expected: String, came: String, passed: bool| checks.push(Check { expected, came, passed });
    if expect.nothing {
        check("nothing is recommended".to_owned(), count(items.len()), items.is_empty());
    }
    if let Some(least) = expect.at_least {
        check(format!("at least {}", count(least)), count(items.len()), items.len() >= least);
    }
    if let Some(most) = expect.at_most {
        check(format!("at most {}", count(most)), count(items.len()), items.len() <= most);
    }
    if let Some(first) = &expect.first {
        let came = items.first().map_or_else(|| "the list is empty".to_owned(), |item| judge.shown(item));
        let wrong = items.first().map(|item| judge.differences(first, item));
        let passed = wrong.as_ref().is_some_and(Vec::is_empty);
        let same = items.first().is_some_and(|item| first.product.as_deref() == Some(item.product_id.as_str()));
        let came = match (wrong, judge.absent(first)) {
            (Some(wrong), _) if !passed && same => wrong.join("; "),
            (Some(_), Some(why)) if !passed => format!("{came}; {why}"),
            _ => came,
        };
        check(format!("first: {}", judge.words(first)), came, passed);
    }
    for wanted in &expect.must_contain {
        let least = wanted.count_at_least.unwrap_or(1);
        let found: Vec<&Item> = items.iter().filter(|item| judge.differences(wanted, item).is_empty()).collect();
        let passed = found.len() >= least;
        let expected = match least {
            1 => format!("contains {}", judge.words(wanted)),
            least => format!("contains {least} times {}", judge.words(wanted)),
        };
        check(expected, if passed { judge.places(&found) } else { judge.lacking(wanted, &found) }, passed);
    }
    for wanted in &expect.must_not_contain {
        let found: Vec<&Item> = items.iter().filter(|item| judge.differences(wanted, item).is_empty()).collect();
        let came = match judge.absent(wanted) {
            _ if !found.is_empty() => judge.places(&found),
            Some(why) => why,
            None => "not in the list".to_owned(),
        };
        check(format!("does not contain {}", judge.words(wanted)), came, found.is_empty());
    }
    if let Some(categories) = &expect.only_categories {
        let names: Vec<String> = categories.iter().map(|id| judge.category(id)).collect();
        let strangers = judge.others(|item| categories.iter().any(|id| judge.is_in(item, id)));
        check(format!("only of {}", names.join(", ")), strangers.0, strangers.1);
    }
    if let Some(kinds) = &expect.only_kinds {
        let names: Vec<&str> = kinds.iter().map(|kind| kind_name(*kind)).collect();
        let strangers = judge.others(|item| kinds.contains(&item.kind));
        check(format!("only {}", names.join(", ")), strangers.0, strangers.1);
    }
    for offer in &expect.uses_offers {
        let serves = |item: &&Item| item.offer.as_ref().is_some_and(|hint| hint.offer_id.as_str() == &**offer);
        let found: Vec<&Item> = items.iter().filter(serves).collect();
        let came = if found.is_empty() { judge.offers() } else { judge.places(&found) };
        check(format!("uses the offer {offer}"), came, !found.is_empty());
    }
    if let Some(most) = expect.offers_at_most {
        let with_offer = items.iter().filter(|item| item.offer.is_some()).count();
        check(format!("at most {most} with an offer"), judge.offers(), with_offer <= most);
    }
    if let Some(range) = &expect.total_saved {
        let saved: Decimal = items.iter().filter_map(|item| item.offer.as_ref()).map(|offer| offer.saves).sum();
        check(format!("saves {} in total", **range), money_text(saved), range.hold(saved));
    }
    checks
}

fn count(items: usize) -> String {
    if items == 1 { "1 item".to_owned() } else { format!("{items} items") }
}

/// As the API writes it.
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::CrossSell => "cross_sell",
        Kind::UpsellQuantity => "upsell_quantity",
        Kind::UpsellProduct => "upsell_product",
        Kind::Reorder => "reorder",
        Kind::Popular => "popular",
    }
}

fn stock_name(stock: StockStatus) -> &'static str {
    match stock {
        StockStatus::InStock => "in_stock",
        StockStatus::LowStock => "low_stock",
        StockStatus::Backordered => "backordered",
        StockStatus::Unknown => "unknown",
    }
}

struct Judge<'a> {
    answer: &'a Answer,
    catalogue: &'a Catalogue,
}

impl Judge<'_> {
    fn product(&self, id: &str) -> String {
        let name = self.catalogue.find(id).map(|product| self.catalogue.name(product)).filter(|name| !name.is_empty());
        name.map_or_else(|| id.to_owned(), |name| format!("{name} ({id})"))
    }

    fn category(&self, id: &str) -> String {
        let at = self.catalogue.find_category(id);
        at.map_or_else(|| id.to_owned(), |at| self.catalogue.category_names.get(at as usize).to_owned())
    }

    fn is_in(&self, item: &Item, category: &str) -> bool {
        let (found, product) = (self.catalogue.find_category(category), self.catalogue.find(&item.product_id));
        found.zip(product).is_some_and(|(category, product)| {
            self.catalogue.category(product) == category || self.catalogue.subcategory(product) == category
        })
    }

    fn shown(&self, item: &Item) -> String {
        format!("{}, {}", self.product(&item.product_id), kind_name(item.kind))
    }

    fn places(&self, items: &[&Item]) -> String {
        let place = |item: &&Item| format!("number {}: {}", item.rank, self.shown(item));
        let mut places: Vec<String> = items.iter().take(NAMED).map(place).collect();
        if items.len() > NAMED {
            places.push(format!("and {} more", items.len() - NAMED));
        }
        places.join("; ")
    }

    fn offers(&self) -> String {
        let offers = self.answer.items.iter().filter_map(|item| item.offer.as_ref().map(|offer| (item, offer)));
        let list: Vec<String> =
            offers.map(|(item, offer)| format!("number {}: {}", item.rank, offer.offer_id)).collect();
        if list.is_empty() { "no item has an offer".to_owned() } else { list.join("; ") }
    }

    /// The items that are none of these, and whether there are none of them.
    fn others(&self, is_one: impl Fn(&Item) -> bool) -> (String, bool) {
        let others: Vec<&Item> = self.answer.items.iter().filter(|item| !is_one(item)).collect();
        if others.is_empty() { ("all are".to_owned(), true) } else { (self.places(&others), false) }
    }

    /// Why a wanted product is not in the list at all.
    fn absent(&self, wanted: &Wanted) -> Option<String> {
        let id = wanted.product.as_deref()?;
        self.answer.why_not.get(id).map(|why| format!("{} is not in the list: {why}", self.product(id)))
    }

    /// What is missing where too few items are as wanted.
    fn lacking(&self, wanted: &Wanted, found: &[&Item]) -> String {
        if !found.is_empty() {
            return format!("only {}", self.places(found));
        }
        if let Some(why) = self.absent(wanted) {
            return why;
        }
        let same = |item: &&Item| wanted.product.as_deref() == Some(item.product_id.as_str());
        if let Some(item) = self.answer.items.iter().find(same) {
            return format!("number {}: {}", item.rank, self.differences(wanted, item).join("; "));
        }
        match self.answer.items.len() {
            0 => "the list is empty".to_owned(),
            len => format!("none of {len} items"),
        }
    }

    /// In what an item is not as wanted.
    fn differences(&self, wanted: &Wanted, item: &Item) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |is_right: bool, said: &dyn Fn() -> String| {
            if !is_right {
                wrong.push(said());
            }
        };
        if let Some(product) = &wanted.product {
            check(item.product_id.as_str() == &**product, &|| format!("it is {}", self.product(&item.product_id)));
        }
        if let Some(kind) = wanted.kind {
            check(item.kind == kind, &|| format!("its kind is {}", kind_name(item.kind)));
        }
        if let Some(category) = &wanted.category {
            check(self.is_in(item, category), &|| format!("it is not of {}", self.category(category)));
        }
        if let Some(stock) = wanted.stock {
            check(item.stock == stock, &|| format!("its stock is {}", stock_name(item.stock)));
        }
        if let Some(product) = &wanted.instead_of {
            let instead_of = item.instead_of.as_ref().map(endcap_recommender::ProductId::as_str);
            check(instead_of == Some(&**product), &|| match instead_of {
                Some(other) => format!("it is better than {}", self.product(other)),
                None => "it stands for no other product".to_owned(),
            });
        }
        if let Some(most) = wanted.within_first {
            check(item.rank <= most, &|| format!("it is number {}", item.rank));
        }
        let offer = item.offer.as_ref();
        if let Some(id) = &wanted.offer {
            check(offer.is_some_and(|offer| offer.offer_id.as_str() == &**id), &|| match offer {
                Some(offer) => format!("its offer is {}", offer.offer_id),
                None => "it has no offer".to_owned(),
            });
        }
        if let Some(with_offer) = wanted.with_offer {
            check(offer.is_some() == with_offer, &|| match offer {
                Some(offer) => format!("it has the offer {}", offer.offer_id),
                None => "it has no offer".to_owned(),
            });
        }
        for (range, key) in wanted.ranges() {
            let value = match key {
                "suggested_quantity" => Some(item.suggested_quantity),
                "unit_price" => item.unit_price,
                "add" => offer.map(|offer| offer.add),
                "free" => offer.map(|offer| offer.free),
                "saves" => offer.map(|offer| offer.saves),
                _ => offer.map(|offer| offer.line_total),
            };
            check(value.is_some_and(|value| range.hold(value)), &|| match value {
                Some(value) => format!("{key} is {}", value.normalize()),
                None => format!("it has no {key}"),
            });
        }
        wrong
    }

    /// What is wanted, in words.
    fn words(&self, wanted: &Wanted) -> String {
        let mut words = vec![wanted.product.as_deref().map_or_else(|| "an item".to_owned(), |id| self.product(id))];
        words.extend(wanted.kind.map(|kind| format!("as {}", kind_name(kind))));
        words.extend(wanted.category.as_ref().map(|category| format!("of {}", self.category(category))));
        words.extend(wanted.instead_of.as_ref().map(|product| format!("in place of {}", self.product(product))));
        words.extend(wanted.stock.map(|stock| format!("with stock {}", stock_name(stock))));
        words.extend(wanted.offer.as_ref().map(|offer| format!("with the offer {offer}")));
        words.extend(wanted.with_offer.map(|with| if with { "with an offer" } else { "without an offer" }.to_owned()));
        words.extend(wanted.ranges().map(|(range, key)| format!("with {} {}", key.replace('_', " "), **range)));
        words.extend(wanted.within_first.map(|most| format!("among the first {most}")));
        words.join(" ")
    }
}
