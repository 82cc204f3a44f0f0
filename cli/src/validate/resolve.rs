//! From what a person wrote to what the artifact knows: names become ids, offers become offers, and what could not be judged is refused.

use endcap_recommender::OfferId;
use endcap_recommender::live::BaselineState;
use endcap_recommender::offers::{self, Offer, Scope, Terms};
use serde_json::{Map, Value};

use super::file::{Expect, InlineOffer, Line, ScenarioFile, ScopeWords, Situation, Wanted};
use super::names::{Names, unknown};
use super::read::{Mistakes, Place};
use super::words::{OneOr, Range, Text};

/// Puts ids in the place of names throughout a file and lays the defaults under every situation.
pub fn resolve(file: &mut ScenarioFile, names: &Names<'_>, state: &BaselineState) -> Mistakes {
    let mut resolver = Resolver { names, state, mistakes: Mistakes::default() };
    resolver.situation(&mut file.defaults, &Place::default().key("defaults"));
    for (number, scenario) in file.scenarios.iter_mut().enumerate() {
        let place = Place::default().key("scenarios").at(number);
        resolver.situation(&mut scenario.situation, &place.key("situation"));
        let situation = std::mem::take(&mut scenario.situation).over(&file.defaults);
        resolver.together(&situation, &place.key("situation"));
        resolver.expect(&mut scenario.expect, &situation, &place.key("expect"));
        scenario.situation = situation;
    }
    resolver.mistakes
}

struct Resolver<'a> {
    names: &'a Names<'a>,
    state: &'a BaselineState,
    mistakes: Mistakes,
}

impl Resolver<'_> {
    fn put(&mut self, text: &mut Text, found: Result<String, String>, place: &Place) {
        match found {
            Ok(id) => text.0 = id,
            Err(message) => self.mistakes.add(place, message),
        }
    }

    fn product(&mut self, text: &mut Text, place: &Place) {
        let found = self.names.product(text);
        self.put(text, found, place);
    }

    fn category(&mut self, text: &mut Text, place: &Place) {
        let found = self.names.category(text);
        self.put(text, found, place);
    }

    fn brand(&mut self, text: &mut Text, place: &Place) {
        let found = self.names.brand(text);
        self.put(text, found, place);
    }

    fn each(&mut self, list: &mut [Text], place: &Place, one: fn(&mut Self, &mut Text, &Place)) {
        for (number, text) in list.iter_mut().enumerate() {
            one(self, text, &place.at(number));
        }
    }

    fn lines(&mut self, lines: &mut [OneOr<Line>], place: &Place) {
        for (number, line) in lines.iter_mut().enumerate() {
            self.product(&mut line.product, &place.at(number).key("product"));
        }
    }

    fn by_product<T>(&mut self, map: &mut std::collections::BTreeMap<Text, T>, place: &Place) {
        let written = std::mem::take(map);
        for (mut product, value) in written {
            let place = place.key(&product);
            self.product(&mut product, &place);
            if map.insert(product, value).is_some() {
                self.mistakes.add(&place, "is the same product as another line; keep one of them");
            }
        }
    }

    fn situation(&mut self, situation: &mut Situation, place: &Place) {
        for (list, key) in [(&mut situation.off_sale, "off_sale"), (&mut situation.blocked, "blocked")] {
            self.each(list.as_deref_mut().unwrap_or_default(), &place.key(key), Self::product);
        }
        let categories = situation.blocked_categories.as_deref_mut().unwrap_or_default();
        self.each(categories, &place.key("blocked_categories"), Self::category);
        let brands = situation.blocked_brands.as_deref_mut().unwrap_or_default();
        self.each(brands, &place.key("blocked_brands"), Self::brand);
        if let Some(product) = &mut situation.looking_at {
            self.product(product, &place.key("looking_at"));
        }
        self.lines(situation.cart.as_deref_mut().unwrap_or_default(), &place.key("cart"));
        for (number, order) in situation.past_orders.iter_mut().flatten().enumerate() {
            self.lines(&mut order.lines, &place.key("past_orders").at(number).key("lines"));
        }
        for (number, declined) in situation.declined.iter_mut().flatten().enumerate() {
            let place = place.key("declined").at(number);
            match (&mut declined.product, &declined.offer) {
                (Some(product), None) => self.product(product, &place.key("product")),
                (None, Some(_)) => {}
                _ => self.mistakes.add(&place, "must name either a product or an offer"),
            }
        }
        if let Some(stock) = &mut situation.stock {
            self.by_product(stock, &place.key("stock"));
        }
        if let Some(prices) = &mut situation.prices {
            self.by_product(prices, &place.key("prices"));
        }
        for (number, (a, b)) in situation.forbidden_pairs.iter_mut().flatten().enumerate() {
            let place = place.key("forbidden_pairs").at(number);
            self.product(a, &place.at(0));
            self.product(b, &place.at(1));
        }
        for (number, offer) in situation.offers.iter_mut().flatten().enumerate() {
            self.offer(offer, &place.key("offers").at(number));
        }
    }

    fn offer(&mut self, offer: &mut InlineOffer, place: &Place) {
        let Some(offer_type) = offer.offer_type.clone() else {
            offer.resolved = self.state.shelf.offers.get(&*offer.offer_id).cloned();
            if offer.resolved.is_none() {
                let known = self.state.shelf.offers.keys().map(OfferId::as_str);
                let said = unknown("offer", &offer.offer_id, known);
                self.mistakes.add(place, format!("{said}, or write it out with type and terms (docs/offers.md)"));
            }
            return;
        };
        let terms = self.terms(&offer_type, &mut offer.terms, &place.key("terms"));
        self.scope(&mut offer.scope, &place.key("scope"));
        let Some(terms) = terms else { return };
        let ids = |list: &[Text]| list.iter().map(|text| text.0.clone()).collect::<Vec<String>>();
        let scope = &offer.scope;
        let resolved = Offer {
            offer_id: offer.offer_id.0.as_str().into(),
            terms,
            scope: Scope {
                products: ids(&scope.products).into_iter().map(Into::into).collect(),
                categories: ids(&scope.categories),
                brands: ids(&scope.brands),
                customers: ids(&scope.customers).into_iter().map(Into::into).collect(),
                segments: ids(&scope.segments),
                channels: scope.channels.clone(),
            },
            valid_from: offer.valid_from,
            valid_to: offer.valid_to,
            priority: offer.priority,
            stackable: offer.stackable,
            max_per_order: offer.max_per_order,
        };
        for error in offers::validate(&resolved).err().unwrap_or_default() {
            self.mistakes.add(&pointed(place, &error.pointer), error.detail);
        }
        offer.resolved = Some(resolved);
    }

    fn scope(&mut self, scope: &mut ScopeWords, place: &Place) {
        self.each(&mut scope.products, &place.key("products"), Self::product);
        self.each(&mut scope.categories, &place.key("categories"), Self::category);
        self.each(&mut scope.brands, &place.key("brands"), Self::brand);
    }

    /// The terms of an offer, with ids for names.
    fn terms(&mut self, offer_type: &str, terms: &mut Value, place: &Place) -> Option<Terms> {
        let known: &[&str] = match offer_type {
            "BuyXGetY" => &["buy", "get", "get_products"],
            "TierPrice" => &["tiers"],
            "PercentOff" => &["percent"],
            "AmountOff" => &["amount", "per"],
            "BundlePrice" => &["products", "price"],
            "GiftOverTotal" => &["min_total", "gift", "quantity"],
            _ => &[],
        };
        for key in terms.as_object().into_iter().flat_map(Map::keys) {
            if !known.is_empty() && !known.contains(&key.as_str()) {
                let message = format!("is no term of {offer_type}; known are {}", known.join(", "));
                self.mistakes.add(&place.key(key), message);
            }
        }
        if let Some(gift) = terms.get_mut("gift") {
            self.product_value(gift, &place.key("gift"));
        }
        for (number, product) in
            terms.get_mut("get_products").and_then(Value::as_array_mut).into_iter().flatten().enumerate()
        {
            self.product_value(product, &place.key("get_products").at(number));
        }
        if let Some(products) = terms.get_mut("products").and_then(Value::as_object_mut) {
            for (name, quantity) in std::mem::take(products) {
                let mut product = Text(name);
                let place = place.key("products").key(&product);
                self.product(&mut product, &place);
                products.insert(product.0, quantity);
            }
        }
        let tagged = serde_json::json!({"type": offer_type, "terms": terms});
        match serde_json::from_value(tagged) {
            Ok(terms) => Some(terms),
            Err(error) => {
                self.mistakes.add(place, format!("{error}; docs/offers.md says the terms of each type"));
                None
            }
        }
    }

    fn product_value(&mut self, value: &mut Value, place: &Place) {
        let written = value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|number| number.to_string()));
        let Some(written) = written else { return };
        let mut text = Text(written);
        self.product(&mut text, place);
        *value = Value::String(text.0);
    }

    /// What only the whole situation can say.
    fn together(&mut self, situation: &Situation, place: &Place) {
        if let Some(customer) = &situation.customer
            && situation.past_orders.is_none()
            && !self.state.customers.contains_key(&**customer)
        {
            self.mistakes.add(
                &place.key("customer"),
                format!(
                    "\"{customer}\" is no customer of this artifact; leave it out for somebody unknown, or invent the history with past_orders"
                ),
            );
        }
        if situation.customer.is_none() && situation.past_orders.is_some() {
            self.mistakes
                .add(&place.key("past_orders"), "needs a customer whose orders they are; write any id as customer");
        }
        if situation.customer.is_none() && situation.declined.is_some() {
            self.mistakes.add(
                &place.key("declined"),
                "needs a customer who declined; write any id as customer, with past_orders: [] if nobody has it",
            );
        }
        let declined: Vec<Text> = situation.declined.iter().flatten().filter_map(|one| one.offer.clone()).collect();
        for offer in declined {
            self.known_offer(&offer, situation, &place.key("declined"));
        }
    }

    fn known_offer(&mut self, offer: &Text, situation: &Situation, place: &Place) {
        let known: Vec<&str> = match &situation.offers {
            Some(offers) => offers.iter().map(|known| &*known.offer_id).collect(),
            None => self.state.shelf.offers.keys().map(OfferId::as_str).collect(),
        };
        if !known.contains(&&**offer) {
            let message = unknown("offer", offer, known.into_iter()).replace("of this artifact", "of this situation");
            self.mistakes.add(place, message);
        }
    }

    fn expect(&mut self, expect: &mut Expect, situation: &Situation, place: &Place) {
        if let Some(first) = &mut expect.first {
            self.wanted(first, situation, &place.key("first"));
        }
        for (list, key) in
            [(&mut expect.must_contain, "must_contain"), (&mut expect.must_not_contain, "must_not_contain")]
        {
            for (number, wanted) in list.iter_mut().enumerate() {
                self.wanted(wanted, situation, &place.key(key).at(number));
            }
        }
        let categories = expect.only_categories.as_deref_mut().unwrap_or_default();
        self.each(categories, &place.key("only_categories"), Self::category);
        for (number, offer) in expect.uses_offers.iter().enumerate() {
            self.known_offer(offer, situation, &place.key("uses_offers").at(number));
        }
        self.range(expect.total_saved.as_ref(), &place.key("total_saved"));
        if expect.at_least.zip(expect.at_most).is_some_and(|(least, most)| least > most) {
            self.mistakes.add(&place.key("at_least"), "is above at_most; no list can be both");
        }
        let about_items = expect.at_least.is_some_and(|least| least > 0)
            || expect.first.is_some()
            || !expect.must_contain.is_empty()
            || !expect.uses_offers.is_empty();
        if expect.nothing && about_items {
            self.mistakes.add(
                &place.key("nothing"),
                "says that the list is empty, and other lines ask for items; keep one of the two",
            );
        }
        let says_something = expect.nothing
            || about_items
            || expect.at_least.or(expect.at_most).or(expect.offers_at_most).is_some()
            || !expect.must_not_contain.is_empty()
            || expect.only_categories.is_some()
            || expect.only_kinds.is_some()
            || expect.total_saved.is_some();
        if !says_something {
            self.mistakes
                .add(place, "expects nothing in particular, so that nothing could fail; write for example at_least: 1");
        }
    }

    fn range(&mut self, range: Option<&Range>, place: &Place) {
        let Some(range) = range else { return };
        if !range.says_something() {
            self.mistakes.add(place, "is empty; write a number, at_least or at_most");
        } else if !range.is_possible() {
            self.mistakes.add(place, format!("is {}; at_least must not be above at_most", **range));
        }
    }

    fn wanted(&mut self, wanted: &mut Wanted, situation: &Situation, place: &Place) {
        for (product, key) in [(&mut wanted.product, "product"), (&mut wanted.instead_of, "instead_of")] {
            if let Some(product) = product {
                self.product(product, &place.key(key));
            }
        }
        if let Some(category) = &mut wanted.category {
            self.category(category, &place.key("category"));
        }
        if let Some(offer) = &wanted.offer {
            self.known_offer(offer, situation, &place.key("offer"));
        }
        for (range, key) in wanted.ranges() {
            self.range(Some(range), &place.key(key));
        }
        if !wanted.says_something() {
            self.mistakes.add(place, "says nothing of the item; write for example product: ... or kind: cross_sell");
        }
    }
}

/// The place of a JSON pointer below another place.
fn pointed(place: &Place, pointer: &str) -> Place {
    pointer.split('/').skip(1).fold(place.clone(), |place, part| match part.parse() {
        Ok(index) => place.at(index),
        Err(_) => place.key(&part.replace("~1", "/").replace("~0", "~")),
    })
}
