//! What to order when: stock, expected demand with its intervals, and the day on which stock is gone, as CSV.

use std::fmt::Write;

use endcap_recommender::fitted::Catalogue;
use endcap_recommender::live::ShelfState;
use jiff::{Span, Timestamp};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::demand::{DAYS, Forecasts, RunsOut, runs_out};

/// One row a product that was sold or is in stock; what runs out first stands first, then the largest demand.
pub fn csv(catalogue: &Catalogue, forecasts: &Forecasts, shelf: &ShelfState, until: Option<Timestamp>) -> String {
    let mut text = String::from("product_id,name,active,demand_kind,stock,stock_as_of");
    for days in DAYS {
        for name in ["expected", "low80", "high80", "low95", "high95"] {
            let _ = write!(text, ",{name}_{days}d");
        }
    }
    text.push_str(",runs_out_on,runs_out_earliest,runs_out_latest\n");
    let mut rows: Vec<(Option<u32>, f32, u32, String)> = Vec::new();
    for (product, (kind, both)) in (0u32..).zip(forecasts.kinds.iter().zip(&forecasts.forecasts)) {
        let level = shelf.stock.get(catalogue.id(product));
        let is_sold = kind.is_sold();
        if !is_sold && level.is_none() {
            continue;
        }
        let out = level.and_then(|level| level.on_hand.to_f64()).map(|stock| runs_out(stock, both));
        let mut row = format!(
            "{},{},{},{},{},{}",
            quoted(catalogue.id(product)),
            quoted(catalogue.name(product)),
            catalogue.is_active(product),
            kind.as_str(),
            level.map_or_else(String::new, |level| plain(level.on_hand)),
            level.map_or_else(String::new, |level| level.as_of.strftime("%Y-%m-%d").to_string()),
        );
        for forecast in both {
            for units in [forecast.expected, forecast.low80, forecast.high80, forecast.low95, forecast.high95] {
                let _ = write!(row, ",{units:.2}");
            }
        }
        let RunsOut { expected, early, late } = out.unwrap_or_default();
        for days in [expected, early, late] {
            let _ = write!(row, ",{}", day(until, days));
        }
        let month = both.last().map_or(0.0, |forecast| forecast.expected);
        rows.push((expected, month, product, row));
    }
    rows.sort_by(|a, b| {
        let last = |days: Option<u32>| days.unwrap_or(u32::MAX);
        last(a.0).cmp(&last(b.0)).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2))
    });
    for (.., row) in rows {
        text.push_str(&row);
        text.push('\n');
    }
    text
}

fn plain(amount: Decimal) -> String {
    amount.normalize().to_string()
}

/// The day so many days after the end of the data; nothing where stock lasts.
fn day(until: Option<Timestamp>, days: Option<u32>) -> String {
    let after =
        until.zip(days).and_then(|(until, days)| until.checked_add(Span::new().hours(i64::from(days) * 24)).ok());
    after.map_or_else(String::new, |at| at.strftime("%Y-%m-%d").to_string())
}

/// A field of RFC 4180.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use endcap_recommender::fitted::CatalogueRow;
    use endcap_recommender::live::StockLevel;

    use super::*;
    use crate::demand::{Forecast, Kind};

    #[test]
    fn what_runs_out_first_stands_first() {
        let row = |id: &str, name: &str| CatalogueRow {
            id: id.to_owned(),
            name: name.to_owned(),
            active: true,
            ..CatalogueRow::default()
        };
        let catalogue = Catalogue::build(
            vec![row("a", "Cup, \"red\""), row("b", "Plate"), row("c", "Fork"), row("d", "Pan")],
            |_| None,
        );
        let until: Timestamp = "2011-12-09T12:00:00Z".parse().unwrap();
        let even = |week: f32| {
            let of = |units: f32| Forecast {
                expected: units,
                low80: units / 2.0,
                high80: units * 2.0,
                low95: 0.0,
                high95: units * 3.0,
            };
            [of(week), of(4.0 * week)]
        };
        let forecasts = Forecasts {
            kinds: vec![Kind::Smooth, Kind::Lumpy, Kind::Unsold, Kind::Smooth],
            forecasts: vec![even(7.0), even(7.0), even(0.0), even(70.0)],
            ..Forecasts::default()
        };
        let level =
            |units: i64| StockLevel { on_hand: Decimal::from(units), backordered: None, on_order: None, as_of: until };
        let stock = [("a".into(), level(21)), ("b".into(), level(3))].into();
        let text = csv(&catalogue, &forecasts, &ShelfState { stock, ..ShelfState::default() }, Some(until));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("product_id,name,active,demand_kind,stock,stock_as_of,expected_7d,low80_7d"));
        assert_eq!(
            lines[1],
            "b,Plate,true,lumpy,3,2011-12-09,7.00,3.50,14.00,0.00,21.00,28.00,14.00,56.00,0.00,84.00,2011-12-12,2011-12-10,2011-12-15"
        );
        assert!(
            lines[2].starts_with("a,\"Cup, \"\"red\"\"\",true,smooth,21,")
                && lines[2].ends_with(",2011-12-30,2011-12-19,2012-01-20")
        );
        assert!(lines[3].starts_with("d,Pan,true,smooth,,,70.00") && lines[3].ends_with(",,,"));
    }
}
