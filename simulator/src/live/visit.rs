//! One visit: look, click, take, decline, buy.

use std::borrow::Cow;
use std::time::Duration;

use endcap_recommender::request::{CartLine, Channel, Context, Occasion, Placement, RecommendationRequest};
use endcap_recommender::response::{Kind, RecommendationResponse};
use jiff::Timestamp;
use rand_distr::{Distribution, Exp1};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::Run;
use crate::basket::{Visitor, plan};
use crate::catalogue::money;
use crate::dice::{Dice, Stream, chance, dice, unit};
use crate::market::{Line, Purchase};
use crate::shopper::{Reaction, Shopper, Suggestion};
use crate::truth::{CustomerNo, CustomerTruth, ProductNo, Situation, Tastes};

/// Of the things that a visitor wants, so many are looked at on their own page.
const MOST_PAGES: usize = 6;

struct Visit<'a> {
    run: &'a Run,
    dice: Dice,
    no: CustomerNo,
    customer: &'a CustomerTruth<ProductNo>,
    tastes: Cow<'a, Tastes<ProductNo>>,
    /// None: not logged in.
    customer_id: Option<&'a str>,
    session_id: String,
    channel: Channel,
    device: &'static str,
    cart: Vec<(ProductNo, u32)>,
    said_no_to: Vec<ProductNo>,
    events: Vec<Value>,
    event_count: u32,
    order_count: u32,
}

pub(super) async fn visit(run: &Run, visit_no: u64) {
    let mut dice = dice(run.spec.seed, Stream::Live, visit_no);
    let no = run.pick_customer(&mut dice);
    let Some(customer) = run.world.truth.customer(no) else { return };
    let tastes = match run.changed(no) {
        Some(changed) => Cow::Owned(changed),
        None => Cow::Borrowed(&customer.tastes),
    };
    let stranger = !customer.trade && chance(&mut dice, run.spec.stranger_share);
    let device = match customer.channel {
        Channel::Mobile => "phone",
        Channel::Branch => "till",
        _ => "desktop",
    };
    let mut visit = Visit {
        run,
        no,
        customer,
        tastes,
        customer_id: (!stranger).then_some(customer.customer_id.as_str()),
        session_id: format!("{}-{visit_no}", run.spec.run_id),
        channel: customer.channel,
        device,
        cart: Vec::new(),
        said_no_to: Vec::new(),
        events: Vec::new(),
        event_count: 0,
        order_count: 0,
        dice,
    };
    let wishes = visit.wishes();
    match visit.channel {
        Channel::Web | Channel::Mobile => visit.browse(&wishes).await,
        Channel::BackOffice | Channel::Branch | Channel::Email | Channel::Partner => visit.be_served(&wishes).await,
    }
    visit.send().await;
}

impl Visit<'_> {
    fn day(&self) -> f64 {
        self.run.world.truth.spec.day_at(self.run.now_s())
    }

    fn purchase(&self) -> Purchase<'_> {
        Purchase { customer: self.customer, channel: self.channel, at_s: self.run.now_s() }
    }

    fn wishes(&mut self) -> Vec<(ProductNo, u32)> {
        let day = self.day();
        let mut last_bought = Vec::with_capacity(self.tastes.habits.len());
        for habit in &self.tastes.habits {
            let somewhere_before = day - f64::from(habit.interval_days * 1.3 * unit(&mut self.dice));
            last_bought.push(self.run.last_bought(self.no, habit.product).unwrap_or(somewhere_before));
        }
        let visitor = Visitor { customer: self.customer, tastes: &self.tastes, last_bought: &last_bought, day };
        let purchase = Purchase { customer: self.customer, channel: self.channel, at_s: self.run.now_s() };
        let wishes = plan(&self.run.world.market, &visitor, &purchase, &mut self.dice);
        wishes.into_iter().map(|wish| (wish.product, wish.quantity)).collect()
    }

    /// The web shop and the app: home, pages, cart, perhaps checkout and what comes after.
    async fn browse(&mut self, wishes: &[(ProductNo, u32)]) {
        self.ask(Placement::Home, None, None).await;
        for (page, &(product, quantity)) in wishes.iter().enumerate() {
            self.pause().await;
            if page < MOST_PAGES {
                self.event("view_item", &[("product_id", self.id(product))]);
                if chance(&mut self.dice, 0.5) {
                    self.ask(Placement::Product, Some(product), Some(Occasion::ProductSelected)).await;
                }
            }
            self.take(product, quantity);
        }
        self.ask(Placement::Cart, None, Some(Occasion::CartUpdated)).await;
        self.pause().await;
        if chance(&mut self.dice, 0.25) {
            // Leaves the cart behind, and sees the reminder perhaps.
            if chance(&mut self.dice, 0.4) {
                self.send().await;
                self.ask(Placement::AbandonedCart, None, Some(Occasion::CartAbandoned)).await;
            }
            return;
        }
        self.event("begin_checkout", &[]);
        self.ask(Placement::Checkout, None, Some(Occasion::PreCheckout)).await;
        self.buy().await;
        let bought = self.cart.clone();
        self.pause().await;
        self.ask(Placement::PostPurchase, None, Some(Occasion::OrderCompleted)).await;
        // What was taken afterwards is an order of its own.
        self.cart.retain(|line| !bought.iter().any(|(product, _)| *product == line.0));
        self.buy().await;
    }

    /// A clerk types the order: what does this customer usually need, and what completes it?
    async fn be_served(&mut self, wishes: &[(ProductNo, u32)]) {
        self.ask(Placement::OrderEntry, None, None).await;
        let half = wishes.len().div_ceil(2);
        for (typed, &(product, quantity)) in wishes.iter().enumerate() {
            self.take(product, quantity);
            if typed + 1 == half || typed + 1 == wishes.len() {
                self.pause().await;
                self.ask(Placement::OrderEntry, None, Some(Occasion::CartUpdated)).await;
            }
        }
        self.buy().await;
    }

    fn id(&self, product: ProductNo) -> Value {
        self.run.world.truth.id(product).map_or(Value::Null, Value::from)
    }

    /// Puts something that was wanted anyway into the cart.
    fn take(&mut self, product: ProductNo, quantity: u32) {
        if self.cart.iter().any(|line| line.0 == product) || self.said_no_to.contains(&product) {
            return;
        }
        self.cart.push((product, quantity));
        self.event("add_to_cart", &[("product_id", self.id(product)), ("quantity", quantity.into())]);
    }

    /// Queues an event; null fields are left out.
    fn event(&mut self, kind: &str, fields: &[(&str, Value)]) {
        let mut event = Map::new();
        event.insert("event_id".to_owned(), format!("{}-{}", self.session_id, self.event_count).into());
        event.insert("type".to_owned(), kind.into());
        if self.run.spec.at.is_some() {
            event.insert("at".to_owned(), self.moment().map_or(Value::Null, |at| at.to_string().into()));
        }
        if let Some(customer) = self.customer_id {
            event.insert("customer_id".to_owned(), customer.into());
        }
        event.insert("session_id".to_owned(), self.session_id.clone().into());
        for (name, value) in fields {
            event.insert((*name).to_owned(), value.clone());
        }
        event.insert("context".to_owned(), json!({"channel": self.channel, "device": self.device}));
        event.retain(|_, value| !value.is_null());
        self.event_count += 1;
        self.events.push(Value::Object(event));
    }

    fn moment(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.run.now_s()).ok()
    }

    async fn send(&mut self) {
        if self.events.is_empty() {
            return;
        }
        let events = std::mem::take(&mut self.events);
        let (took, outcome) = self.run.client.send(&events).await;
        self.run.recorder.events(took, events.len() as u64, outcome);
    }

    async fn pause(&mut self) {
        let long: f32 = Exp1.sample(&mut self.dice);
        let pause = self.run.spec.think_time.mul_f32(long.min(8.0));
        if pause > Duration::ZERO {
            tokio::time::sleep(pause).await;
        }
    }

    /// Asks for recommendations and reacts to them. What happened so far is told first.
    async fn ask(&mut self, placement: Placement, looking_at: Option<ProductNo>, occasion: Option<Occasion>) {
        self.send().await;
        let truth = &self.run.world.truth;
        let cart = self.cart.iter().filter_map(|&(product, quantity)| {
            let unit_price = truth.product(product).map(|item| money(item.price_cents));
            Some(CartLine { product_id: truth.id(product)?.into(), quantity: Decimal::from(quantity), unit_price })
        });
        let city = self.run.world.places.get(usize::from(self.customer.city));
        let known = self.customer_id.is_some();
        let request = RecommendationRequest {
            placement,
            customer_id: self.customer_id.map(Into::into),
            session_id: Some(self.session_id.as_str().into()),
            cart: cart.collect(),
            product_id: looking_at.and_then(|no| truth.id(no)).map(Into::into),
            context: Context {
                channel: Some(self.channel),
                device: Some(self.device.to_owned()),
                city_id: city.map(|city| city.city_id.clone()),
                area_id: city.and_then(|city| city.area_id.clone()),
                country: city.and_then(|city| city.country.clone()),
                customer_type: known.then(|| self.customer.customer_type.clone()),
                age_band: (known && !self.customer.trade).then(|| self.customer.age_band.clone()),
                at: self.run.spec.at.and_then(|_| self.moment()),
            },
            occasion,
            kinds: Vec::new(),
            limit: None,
        };
        let (took, answer) = self.run.client.recommend(&request).await;
        match answer {
            Ok(answer) => {
                self.run.recorder.answer(took, placement, &answer);
                self.react(placement, looking_at, &answer);
            }
            Err(failed) => self.run.recorder.no_answer(took, failed),
        }
    }

    fn react(&mut self, placement: Placement, looking_at: Option<ProductNo>, answer: &RecommendationResponse) {
        let truth = &self.run.world.truth;
        let suggestions: Vec<Suggestion> = answer.items.iter().filter_map(|item| Suggestion::of(truth, item)).collect();
        let cart: Vec<ProductNo> = self.cart.iter().map(|line| line.0).collect();
        let shopper = Shopper { truth, customer: Some(self.customer), tastes: Some(&self.tastes) };
        let situation = Situation { placement, cart: &cart, looking_at, day: self.day(), days_since_bought: None };
        let reactions =
            shopper.reacts(&mut self.dice, &situation, &suggestions, |product| self.run.last_bought(self.no, product));
        self.run.recorder.reactions(placement, answer, &suggestions, &reactions);
        for (suggestion, reaction) in suggestions.iter().zip(&reactions) {
            let offer =
                answer.items.iter().find(|item| item.rank == suggestion.rank).and_then(|item| item.offer.as_ref());
            let about = [
                ("product_id", self.id(suggestion.product)),
                ("request_id", answer.request_id.as_str().into()),
                ("placement", placement.as_str().into()),
                ("offer_id", offer.map_or(Value::Null, |offer| offer.offer_id.as_str().into())),
            ];
            match *reaction {
                Reaction::Unseen | Reaction::Passed => {}
                Reaction::Clicked => {
                    self.event("select_item", &about);
                    self.event("view_item", &[("product_id", self.id(suggestion.product))]);
                }
                Reaction::Declined => {
                    self.said_no_to.push(suggestion.product);
                    self.event("recommendation_declined", &about);
                }
                Reaction::Accepted { quantity } => self.accept(suggestion, quantity.ceil().max(1.0) as u32, &about),
            }
        }
    }

    fn accept(&mut self, suggestion: &Suggestion, quantity: u32, about: &[(&str, Value)]) {
        // Who takes something has clicked it.
        self.event("select_item", about);
        self.event("recommendation_accepted", &[about, &[("quantity", quantity.into())]].concat());
        if let (Kind::UpsellProduct, Some(instead_of)) = (suggestion.kind, suggestion.instead_of)
            && self.cart.iter().any(|line| line.0 == instead_of)
        {
            self.cart.retain(|line| line.0 != instead_of);
            self.event("remove_from_cart", &[("product_id", self.id(instead_of))]);
        }
        let product = suggestion.product;
        let had = self.cart.iter().find(|line| line.0 == product).map_or(0, |line| line.1);
        if let Some(line) = self.cart.iter_mut().find(|line| line.0 == product) {
            line.1 = quantity.max(had);
        } else {
            self.cart.push((product, quantity));
        }
        if quantity > had {
            self.event("add_to_cart", &[("product_id", self.id(product)), ("quantity", (quantity - had).into())]);
        }
    }

    /// Orders what is in the cart.
    async fn buy(&mut self) {
        if self.cart.is_empty() {
            return;
        }
        let lines = self.run.world.market.price(&self.purchase(), &self.cart);
        let rows: Vec<Value> = lines
            .iter()
            .map(|line| json!({"product_id": self.id(line.product), "quantity": line.quantity, "unit_price": money(line.unit_cents).to_string()}))
            .collect();
        let total = money(lines.iter().map(Line::cents).sum());
        self.order_count += 1;
        let order_id = format!("{}-o{}", self.session_id, self.order_count);
        let value = total.to_string();
        self.event("purchase", &[("order_id", order_id.into()), ("lines", rows.into()), ("value", value.into())]);
        self.run.recorder.order(lines.iter().map(|line| u64::from(line.quantity)).sum(), total);
        if self.run.spec.restock {
            let mut sold = self.run.sold.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            sold.extend(lines.iter().map(|line| line.product));
        }
        let day = self.day();
        {
            let mut last_bought = self.run.last_bought.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for habit in
                self.tastes.habits.iter().filter(|habit| lines.iter().any(|line| line.product == habit.product))
            {
                last_bought.insert((self.no, habit.product), day);
            }
        }
        self.send().await;
    }
}
