//! The facts of a report, by SQL over the canonical tables.

use std::path::Path;

use arrow_array::RecordBatch;
use endcap_tables::{DatasetManifest, all_schemas};
use tokio_util::sync::CancellationToken;

use super::{
    Count, Coverage, DataCovered, DataReport, Enough, FORMAT, OrderFacts, Preparation, TableRows, over_dataset,
};
use crate::DataError;
use crate::engine::{Engine, Limits};
use crate::spec::Minimum;
use crate::values::{self, column_numbers, literal, texts};

/// Optional columns whose absence costs something.
pub const COSTS: &[(&str, &str, &str)] = &[
    ("orders", "customer_id", "orders without a customer teach what goes together, but nobody's habits"),
    ("orders", "channel", "no popularity by channel"),
    ("orders", "city_id", "no popularity by place"),
    ("order_lines", "discount", "price sensitivity is seen in unit prices alone"),
    ("order_lines", "offer_id", "which offers worked is inferred, not known"),
    ("customers", "customer_type", "new customers get the whole shop's favourites instead of their segment's"),
    ("customers", "age_band", "no profile by age for new customers"),
    ("customers", "consent_email", "nobody has consented to e-mail: no messages"),
    ("products", "name", "reasons and lists show ids"),
    ("products", "text", "new products are placed by their names alone"),
    ("products", "category_id", "no popularity by category, no cross-category suggestions"),
    ("products", "subcategory_id", "no substitutes, better variants through variant_of alone"),
    ("products", "brand_id", "no offers by brand"),
    ("products", "variant_of", "better variants through the subcategory alone"),
    ("products", "pack_size", "suggested quantities do not respect packs"),
    ("products", "list_price", "prices come from the latest sale"),
    ("products", "cost", "no ranking by margin"),
    ("offers", "scope", "offers hold for everything and everybody"),
    ("stock", "backordered", "backordered products are not pushed down"),
    ("interactions", "customer_id", "sessions belong to no customer"),
];

/// Tables whose absence costs something.
const TABLE_COSTS: &[(&str, &str)] = &[
    ("offers", "no offers: quantity upsell follows habit and pack sizes alone"),
    ("stock", "everything counts as in stock until stock_changed events come"),
    ("interactions", "nothing is learned from views and carts until events come"),
];

pub async fn collect(
    dir: &Path,
    manifest: &DatasetManifest,
    preparation: Option<Preparation>,
    minimum: &Minimum,
    limits: Limits,
    cancel: &CancellationToken,
) -> Result<DataReport, DataError> {
    let work = tempfile::tempdir().map_err(|source| DataError::Write { path: std::env::temp_dir(), source })?;
    let engine = over_dataset(dir, work.path(), limits, cancel).await?;
    for (table, _, schema) in all_schemas() {
        // A dataset may lack tables; SQL then finds empty ones.
        if !manifest.tables.contains_key(table) {
            engine.define(table, &values::union(table, &schema, &[])).await?;
        }
    }
    let tables =
        manifest.tables.iter().map(|(table, entry)| TableRows { table: table.clone(), rows: entry.rows }).collect();
    Ok(DataReport {
        format: FORMAT.to_owned(),
        dataset: manifest.digest(),
        currency: manifest.currency.clone(),
        time_range: manifest.time_range,
        tables,
        rejected: manifest.rejected.clone(),
        orders: orders(&engine).await?,
        coverage: coverage(&engine, manifest).await?,
        covered: covered(&engine, manifest, minimum).await?,
        preparation,
    })
}

async fn counts(engine: &Engine, sql: &str) -> Result<Vec<Count>, DataError> {
    let batches: Vec<RecordBatch> = engine.rows(sql).await?;
    Ok(batches
        .iter()
        .flat_map(|batch| texts(batch, 0).into_iter().zip(column_numbers(batch, 1)).collect::<Vec<_>>())
        .map(|(label, count)| Count { label: label.unwrap_or_else(|| "(none)".to_owned()), count })
        .collect())
}

async fn number(engine: &Engine, sql: &str) -> Result<u64, DataError> {
    Ok(values::numbers(&engine.rows(sql).await?).first().copied().unwrap_or_default())
}

async fn orders(engine: &Engine) -> Result<OrderFacts, DataError> {
    Ok(OrderFacts {
        by_status: counts(engine, "SELECT status, count(*) FROM orders GROUP BY status ORDER BY 2 DESC, 1").await?,
        by_channel: counts(engine, "SELECT channel, count(*) FROM orders GROUP BY channel ORDER BY 2 DESC, 1").await?,
        by_week: counts(engine, include_str!("../sql/report/weeks.sql")).await?,
        by_basket_size: counts(engine, include_str!("../sql/report/baskets.sql")).await?,
        by_category: counts(engine, include_str!("../sql/report/categories.sql")).await?,
        without_lines: number(
            engine,
            "SELECT count(*) FROM orders o LEFT ANTI JOIN order_lines l ON o.order_id = l.order_id",
        )
        .await?,
        without_customer: number(engine, "SELECT count(*) FROM orders WHERE customer_id IS NULL").await?,
    })
}

async fn coverage(engine: &Engine, manifest: &DatasetManifest) -> Result<Vec<Coverage>, DataError> {
    let mut out = Vec::new();
    for (table, cost) in TABLE_COSTS.iter().filter(|(table, _)| manifest.rows(table) == 0) {
        out.push(Coverage {
            table: (*table).to_owned(),
            column: "(all)".to_owned(),
            filled_percent: 0.0,
            cost: (*cost).to_owned(),
        });
    }
    for (table, column, cost) in COSTS.iter().filter(|(table, ..)| manifest.rows(table) > 0) {
        let filled = number(engine, &format!("SELECT count({column}) FROM {table}")).await?;
        let filled_percent = (filled as f64 * 1_000.0 / manifest.rows(table) as f64).round() / 10.0;
        out.push(Coverage {
            table: (*table).to_owned(),
            column: (*column).to_owned(),
            filled_percent,
            cost: (*cost).to_owned(),
        });
    }
    Ok(out)
}

async fn covered(engine: &Engine, manifest: &DatasetManifest, minimum: &Minimum) -> Result<DataCovered, DataError> {
    let newest = manifest.time_range.map(|range| range.to);
    let active = match newest.and_then(|newest| newest.checked_sub(minimum.active_within.0).ok()) {
        Some(since) => {
            let sql = format!(
                "SELECT count(DISTINCT customer_id) FROM orders WHERE status = 'placed' AND \
                 CAST(ordered_at AS TIMESTAMP(6)) >= CAST('{}' AS TIMESTAMP(6))",
                literal(since)
            );
            number(engine, &sql).await?
        }
        None => 0,
    };
    let placed = number(engine, "SELECT count(*) FROM orders WHERE status = 'placed'").await?;
    let sold = "SELECT count(DISTINCT l.product_id) FROM order_lines l JOIN orders o ON l.order_id = o.order_id \
                WHERE o.status = 'placed' AND l.quantity > 0";
    let sold = number(engine, sold).await?;
    let active_customers = Enough { have: active, need: minimum.active_customers };
    let orders = Enough { have: placed, need: minimum.orders };
    let products = Enough { have: sold, need: minimum.products };
    let covered = [active_customers, orders, products].iter().all(|enough| enough.have >= enough.need);
    Ok(DataCovered { covered, active_customers, active_within: minimum.active_within, orders, products })
}
