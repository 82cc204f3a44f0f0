//! The newest training orders as a profile, feature by feature: what insights compares with what happens later.

use endcap_recommender::fitted::NONE;
use endcap_recommender::profile::{FORMAT, OrderFacts, Reference};
use jiff::Timestamp;

use crate::load::Dataset;

/// Orders of so many days before the end of the data are described: long enough for every weekday, short enough to be like now.
const DAYS: i64 = 90;

pub(crate) fn reference(data: &Dataset) -> Reference {
    let sales = data.sales.view();
    let (_, newest) = sales.split_at(sales.last_s() - DAYS * 86_400);
    let moment = |at_s: Option<i64>| at_s.and_then(|at_s| Timestamp::from_second(at_s).ok());
    let mut reference = Reference {
        format: FORMAT.to_owned(),
        from: moment(newest.heads.first().map(|head| head.at_s)),
        until: moment(newest.heads.last().map(|head| head.at_s)),
        ..Reference::default()
    };
    for (head, lines) in newest.orders() {
        let price = |line: &crate::load::Line| Some(line.unit_price as f64 / 1e4);
        reference.orders.add(&OrderFacts {
            at_s: head.at_s,
            has_customer: head.customer().is_some(),
            lines: lines.iter().map(|line| (f64::from(line.quantity), price(line))).collect(),
        });
        for line in lines {
            let category = data.catalogue.category(line.product);
            let name = if category == NONE { "" } else { data.catalogue.category_ids.get(category as usize) };
            *reference.categories.entry(name.to_owned()).or_default() += 1;
        }
    }
    reference
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use endcap_recommender::fitted::{Catalogue, CatalogueRow};
    use endcap_recommender::profile::place_of;

    use super::*;
    use crate::load::{Line, OrderHead, Sales};

    #[test]
    fn the_newest_ninety_days_are_described_and_nothing_older() {
        let day = 86_400;
        let row = |id: &str, category: Option<&str>| CatalogueRow {
            id: id.to_owned(),
            category: category.map(str::to_owned),
            ..CatalogueRow::default()
        };
        let catalogue = Catalogue::build(vec![row("A", Some("BAGS")), row("B", None)], |_| None);
        let order = |at_s: i64, customer: u32, products: &[u32]| {
            let head = OrderHead {
                at_s,
                customer,
                channel: NONE,
                city: NONE,
                area: NONE,
                country: NONE,
                month_number: 0,
                hour: 0,
            };
            let line = |product: &u32| Line { product: *product, quantity: 2.0, unit_price: 15_000, offered: false };
            (head, products.iter().map(line).collect())
        };
        let sales = Sales::from_orders([
            order(0, 0, &[0]),
            order(109 * day, NONE, &[0]),
            order(110 * day, 0, &[0, 1]),
            order(200 * day, 1, &[0]),
        ]);
        let data = Dataset { catalogue, sales, ..Dataset::default() };
        let reference = reference(&data);
        assert_eq!((reference.orders.orders, reference.orders.with_customer, reference.orders.lines), (2, 2, 3));
        assert_eq!(reference.from, Timestamp::from_second(110 * day).ok());
        assert_eq!(reference.until, Timestamp::from_second(200 * day).ok());
        assert_eq!(reference.categories, [(String::new(), 1), ("BAGS".to_owned(), 2)].into());
        let [_, quantities, prices, values, _] = &reference.orders.numeric;
        assert_eq!(quantities.counts, [(place_of(2.0), 3)].into());
        assert_eq!(prices.counts, [(place_of(1.5), 3)].into());
        assert_eq!(values.counts, [(place_of(3.0), 1), (place_of(6.0), 1)].into());
    }
}
