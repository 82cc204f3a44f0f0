//! The scenes: questions as an OMS would ask them, events as it would send them, and what must be true of the answers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use endcap_recommender::response::{Item, Kind, RecommendationResponse};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::cast::Cast;
use super::tell::Teller;

pub struct Shop {
    url: String,
    cast: Cast,
    client: reqwest::Client,
}

/// A change must be seen within this; it is also how long the demo looks for it.
const WITHIN: Duration = Duration::from_secs(1);

fn products(answer: &RecommendationResponse) -> Vec<&str> {
    answer.items.iter().map(|item| item.product_id.as_str()).collect()
}

fn has(answer: &RecommendationResponse, product: &str) -> bool {
    answer.items.iter().any(|item| item.product_id.as_str() == product)
}

impl Shop {
    pub fn new(url: String, cast: Cast) -> Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .build()
            .context("failed to make an HTTP client")?;
        Ok(Self { url, cast, client })
    }

    async fn ask(&self, mut request: Value) -> Result<(RecommendationResponse, Duration)> {
        if let (Some(at), Some(fields)) = (self.cast.at, request.as_object_mut()) {
            let context = fields.entry("context").or_insert_with(|| json!({}));
            if let Some(context) = context.as_object_mut() {
                context.insert("at".to_owned(), json!(at));
            }
        }
        let started = Instant::now();
        let answer = self.client.post(format!("{}/v1/recommendations", self.url)).json(&request).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        let took = started.elapsed();
        anyhow::ensure!(status.is_success(), "the router answered {status}: {text}");
        Ok((serde_json::from_str(&text).with_context(|| format!("failed to read the answer {text}"))?, took))
    }

    /// Sends events and says whether all were accepted.
    async fn send(&self, tell: &mut Teller, what: &str, mut events: Vec<Value>) -> Result<()> {
        for event in &mut events {
            if let Some(fields) = event.as_object_mut() {
                fields.insert("event_id".to_owned(), json!(uuid::Uuid::now_v7().to_string()));
                if let Some(at) = self.cast.at {
                    fields.insert("at".to_owned(), json!(at - jiff::SignedDuration::from_mins(1)));
                }
            }
        }
        let answer = self.client.post(format!("{}/v1/events", self.url)).json(&events).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        anyhow::ensure!(status.is_success(), "the events were answered with {status}: {text}");
        let outcome: Value = serde_json::from_str(&text).context("failed to read what became of the events")?;
        let accepted = outcome.get("accepted").and_then(Value::as_u64);
        if accepted != Some(events.len() as u64) {
            tell.say(&format!("   {text}"));
        }
        tell.check(&format!("{what}: acknowledged, on disk"), accepted == Some(events.len() as u64));
        Ok(())
    }

    /// Asks again until the answer is as it should be; says how long that took.
    async fn until(
        &self,
        request: &Value,
        is_so: impl Fn(&RecommendationResponse) -> bool,
    ) -> Result<(RecommendationResponse, Option<Duration>)> {
        let started = Instant::now();
        loop {
            let (answer, _) = self.ask(request.clone()).await?;
            if is_so(&answer) {
                return Ok((answer, Some(started.elapsed())));
            }
            if started.elapsed() > WITHIN {
                return Ok((answer, None));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn known_customer(&self, tell: &mut Teller) -> Result<()> {
        let cast = &self.cast;
        tell.step(&format!(
            "An empty cart of customer {}, who ordered {} times",
            cast.customer, cast.orders_of_customer
        ));
        let (answer, took) =
            self.ask(json!({"placement": "order_entry", "customer_id": cast.customer, "cart": []})).await?;
        tell.answer(&answer, took);
        let reorders: Vec<&Item> = answer.items.iter().filter(|item| item.kind == Kind::Reorder).collect();
        let truly = reorders.iter().all(|item| cast.history.contains(item.product_id.as_str()));
        tell.check(
            &format!(
                "{} items are what this customer usually orders, and each is in the order history",
                reorders.len()
            ),
            !reorders.is_empty() && truly,
        );
        Ok(())
    }

    pub async fn a_cart(&self, tell: &mut Teller) -> Result<()> {
        let cast = &self.cast;
        let names: Vec<&str> = cast.cart.iter().map(|product| cast.name(product)).collect();
        tell.step(&format!("A cart: {}", names.join(", ")));
        let cart: Vec<Value> = cast.cart.iter().map(|product| json!({"product_id": product, "quantity": 1})).collect();
        let (answer, took) = self.ask(json!({"placement": "cart", "cart": cart})).await?;
        tell.answer(&answer, took);
        let together = answer
            .items
            .iter()
            .any(|item| item.reason.code == "bought_together" && item.reason.evidence.contains_key("orders"));
        tell.check("at least one item is there because it is bought together, with the count of orders", together);
        let repeated = answer.items.iter().any(|item| {
            item.kind != Kind::UpsellQuantity && cast.cart.iter().any(|product| product == item.product_id.as_str())
        });
        tell.check("nothing that is in the cart is recommended as new", !answer.items.is_empty() && !repeated);
        Ok(())
    }

    pub async fn unknown_customer(&self, tell: &mut Teller) -> Result<()> {
        tell.step("A customer nobody knows, with nothing in the cart");
        let request =
            json!({"placement": "home", "session_id": "first-visit", "limit": 6, "context": {"channel": "web"}});
        let (answer, took) = self.ask(request).await?;
        tell.answer(&answer, took);
        tell.check(
            "there is a full list all the same, each item with its reason",
            answer.items.len() == 6 && answer.items.iter().all(|item| !item.reason.text.is_empty()),
        );
        Ok(())
    }

    pub async fn one_step_short(&self, tell: &mut Teller) -> Result<()> {
        let cast = &self.cast;
        let (offer_id, product, price) = if let Some((offer, product, price)) = &cast.offer {
            tell.step(&format!("One step short of \"buy 7 get 2 free\": 6 x {}", cast.name(product)));
            (offer.offer_id.to_string(), product.clone(), *price)
        } else {
            let product = cast.seller.clone();
            let price = cast.prices.get(&product).copied().context("the seller has no price")?;
            tell.step(&format!("One step short of \"buy 7 get 2 free\": 6 x {}", cast.name(&product)));
            tell.say("   (this data declares no such offer: the demo declares one by an event)");
            let offer = json!({"offer_id": "DEMO-B7G2", "type": "BuyXGetY", "terms": {"buy": 7, "get": 2}, "scope": {"products": [product]}, "priority": 100});
            self.send(tell, "the offer", vec![json!({"type": "offer_changed", "offer": offer})]).await?;
            ("DEMO-B7G2".to_owned(), product, price)
        };
        let request = json!({"placement": "order_entry", "cart": [{"product_id": product, "quantity": 6, "unit_price": price.to_string()}]});
        let is_there = |item: &Item| {
            item.kind == Kind::UpsellQuantity
                && item.offer.as_ref().is_some_and(|hint| hint.offer_id.as_str() == offer_id)
        };
        let started = Instant::now();
        let (answer, _) = self.until(&request, |answer| answer.items.iter().any(is_there)).await?;
        tell.answer(&answer, started.elapsed());
        let item = answer.items.iter().find(|item| is_there(item));
        let exact = item.and_then(|item| item.offer.as_ref()).is_some_and(|hint| {
            let money =
                |value: Decimal| value.round_dp_with_strategy(2, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
            hint.add == Decimal::ONE
                && hint.free == Decimal::TWO
                && hint.saves == money(price * Decimal::TWO)
                && hint.line_total == money(price * Decimal::from(7))
        });
        if let Some(item) = item {
            tell.say(&format!("   \"{}\"", item.reason.text));
        }
        tell.check(&format!("add 1, 2 are free: saves 2 x {price}, the line costs 7 x {price}, to the cent"), exact);
        Ok(())
    }

    pub async fn out_of_stock(&self, tell: &mut Teller) -> Result<()> {
        let cast = &self.cast;
        if let Some((gone, partner)) = &cast.out_of_stock {
            tell.step(&format!(
                "{} is out of stock; a cart holds {}, with which it is bought most",
                cast.name(gone),
                cast.name(partner)
            ));
            let (answer, took) =
                self.ask(json!({"placement": "cart", "cart": [{"product_id": partner}], "limit": 50})).await?;
            tell.say(&format!("   {} items in {:.1} ms", answer.items.len(), took.as_secs_f64() * 1e3));
            tell.check("it is not among them", !answer.items.is_empty() && !has(&answer, gone));
            return Ok(());
        }
        tell.step("Out of stock (nothing in this data is: the demo sells something out by an event)");
        let request = json!({"placement": "cart", "cart": [{"product_id": cast.seller}]});
        let (before, _) = self.ask(request.clone()).await?;
        let gone = before
            .items
            .iter()
            .find(|item| item.kind == Kind::CrossSell)
            .context("nothing goes with the best seller")?;
        let gone = gone.product_id.to_string();
        tell.say(&format!(
            "   with {} in the cart, {} is recommended; now it sells out",
            cast.name(&cast.seller),
            cast.name(&gone)
        ));
        self.send(tell, "stock 0", vec![json!({"type": "stock_changed", "product_id": gone, "stock": {"on_hand": 0}})])
            .await?;
        let (_, seen) = self.until(&request, |answer| !has(answer, &gone)).await?;
        tell.check(&format!("it is gone{}", after(seen)), seen.is_some());
        Ok(())
    }

    /// Three usual products that were last bought days ago are bought again: none is called due any more.
    async fn a_purchase(&self, tell: &mut Teller) -> Result<()> {
        let cast = &self.cast;
        let customer = &cast.customer;
        let usual = json!({"placement": "order_entry", "customer_id": customer, "kinds": ["reorder"], "limit": 100});
        let (before, _) = self.ask(usual.clone()).await?;
        let days_ago = |item: &&Item| {
            item.kind == Kind::Reorder && bought_days_ago(&before, &item.product_id).is_some_and(|days| days > 1.0)
        };
        let bought: Vec<String> =
            before.items.iter().filter(days_ago).take(3).map(|item| item.product_id.to_string()).collect();
        let lines: Vec<Value> = bought.iter().map(|product| json!({"product_id": product, "quantity": 1})).collect();
        let names: Vec<&str> = bought.iter().map(|product| cast.name(product)).collect();
        tell.say(&format!("   the customer buys {}", names.join(", ")));
        let purchase = json!({"type": "purchase", "customer_id": customer, "session_id": "demo", "order_id": uuid::Uuid::now_v7().to_string(), "lines": lines});
        self.send(tell, "purchase", vec![purchase]).await?;
        let is_known = |answer: &RecommendationResponse| {
            bought.iter().all(|product| bought_days_ago(answer, product).is_none_or(|days| days <= 1.0))
        };
        let (now, seen) = self.until(&usual, is_known).await?;
        let named = bought.iter().filter(|product| bought_days_ago(&now, product).is_some()).count();
        let claim = format!(
            "of these {}, {named} are named as bought today and {} fell out of the list{}",
            bought.len(),
            bought.len() - named,
            after(seen)
        );
        tell.check(&claim, seen.is_some() && !bought.is_empty());
        Ok(())
    }

    pub async fn events_change_the_answer(&self, tell: &mut Teller) -> Result<()> {
        let cast = &self.cast;
        tell.step("Events change the next answer");
        let customer = &cast.customer;
        let order_entry = json!({"placement": "order_entry", "customer_id": customer, "session_id": "demo"});
        let (before, _) = self.ask(order_entry.clone()).await?;

        let first = before.items.first().context("an empty list")?.product_id.to_string();
        tell.say(&format!("   customer {customer} puts {} into the cart", cast.name(&first)));
        let added = json!({"type": "add_to_cart", "customer_id": customer, "session_id": "demo", "product_id": first});
        self.send(tell, "add_to_cart", vec![added]).await?;
        let new = |answer: &RecommendationResponse| {
            !answer.items.iter().any(|item| item.product_id.as_str() == first && item.kind != Kind::UpsellQuantity)
        };
        let (with_cart, seen) = self.until(&order_entry, new).await?;
        tell.check(
            &format!("it is no longer recommended as new, and the list follows the cart{}", after(seen)),
            seen.is_some() && products(&with_cart) != products(&before),
        );

        let declined = with_cart
            .items
            .iter()
            .find(|item| item.kind != Kind::UpsellQuantity)
            .context("an empty list")?
            .product_id
            .to_string();
        tell.say(&format!("   the customer declines {} three times", cast.name(&declined)));
        let decline = json!({"type": "recommendation_declined", "customer_id": customer, "session_id": "demo", "product_id": declined, "request_id": with_cart.request_id});
        self.send(tell, "3 declines", vec![decline.clone(), decline.clone(), decline]).await?;
        let (after_decline, seen) = self.until(&order_entry, |answer| !has(answer, &declined)).await?;
        tell.check(&format!("it is not offered to this customer again{}", after(seen)), seen.is_some());

        let sold_out = after_decline
            .items
            .iter()
            .find(|item| item.kind != Kind::UpsellQuantity)
            .context("an empty list")?
            .product_id
            .to_string();
        tell.say(&format!("   {} sells out", cast.name(&sold_out)));
        self.send(
            tell,
            "stock 0",
            vec![json!({"type": "stock_changed", "product_id": sold_out, "stock": {"on_hand": 0}})],
        )
        .await?;
        let (_, seen) = self.until(&order_entry, |answer| !has(answer, &sold_out)).await?;
        tell.check(&format!("nobody is offered it any more{}", after(seen)), seen.is_some());

        self.a_purchase(tell).await?;
        let (last, took) = self.ask(order_entry).await?;
        tell.answer(&last, took);
        Ok(())
    }
}

/// Whether the answer names a product as bought days ago, as bought just now, or not at all.
fn bought_days_ago(answer: &RecommendationResponse, product: &str) -> Option<f64> {
    let item = answer.items.iter().find(|item| item.product_id.as_str() == product)?;
    item.reason.evidence.get("last_days").and_then(Value::as_f64)
}

fn after(seen: Option<Duration>) -> String {
    seen.map_or_else(
        || " (not within a second)".to_owned(),
        |seen| format!(", {:.0} ms after the acknowledgement", seen.as_secs_f64() * 1e3),
    )
}
