//! The canonical tables, one row type each.

use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::table::table;

table! {
    /// Customers with what is known of them; everything but the id may be empty. Contacts never reach a model or an artifact.
    "customers" Customer {
        customer_id: String,
        customer_type: Option<String>,
        gender: Option<String>,
        age_band: Option<String>,
        income_band: Option<String>,
        household: Option<String>,
        city_id: Option<String>,
        area_id: Option<String>,
        country: Option<String>,
        first_seen: Option<Timestamp>,
        email: Option<String>,
        phone: Option<String>,
        push_token: Option<String>,
        consent_email: Option<bool>,
        consent_phone: Option<bool>,
        consent_push: Option<bool>,
    }
}

table! {
    /// One customer across sources (GA4, CRM, POS, back office), joined by exact keys that are declared, never by guess.
    "identities" Identity { source: String, source_id: String, customer_id: String, since: Option<Timestamp> }
}

table! {
    /// Cities with their area and country.
    "places" Place {
        city_id: String,
        city_name: Option<String>,
        area_id: Option<String>,
        area_name: Option<String>,
        country: Option<String>,
    }
}

table! {
    /// Products (goods only; services are left out when data is prepared) with their place in the hierarchy and their prices.
    "products" Product {
        product_id: String,
        name: Option<String>,
        text: Option<String>,
        category_id: Option<String>,
        subcategory_id: Option<String>,
        brand_id: Option<String>,
        /// products of one `variant_of` are versions of the same thing (colour, size)
        variant_of: Option<String>,
        unit: Option<String>,
        pack_size: Option<Decimal>,
        list_price: Option<Decimal>,
        cost: Option<Decimal>,
        active: bool,
    }
}

table! {
    /// Categories and subcategories; a subcategory names its category as `parent_id`. Their ids are apart: a category and a
    /// subcategory may have the same one.
    "categories" Category { category_id: String, name: Option<String>, parent_id: Option<String> }
}

table! {
    /// Brands.
    "brands" Brand { brand_id: String, name: Option<String> }
}

table! {
    /// Orders, one row each whatever their channel. `status` is placed, cancelled, returned or adjusted; only placed ones are learned from.
    "orders" Order {
        order_id: String,
        customer_id: Option<String>,
        ordered_at: Timestamp,
        /// back_office, web, mobile, branch, email or partner
        channel: Option<String>,
        city_id: Option<String>,
        area_id: Option<String>,
        country: Option<String>,
        status: String,
        total: Option<Decimal>,
        /// ISO 4217
        currency: Option<String>,
    }
}

table! {
    /// Lines of orders, in the order in which they were entered. Cancellations are netted against what they cancel: `quantity` is
    /// what is left, 0 on a line that was cancelled whole (learn from quantity > 0); `cancellations` says what was taken off and when.
    "order_lines" OrderLine {
        order_id: String,
        line_no: i64,
        product_id: String,
        quantity: Decimal,
        unit_price: Decimal,
        /// taken off the whole line, in money
        discount: Option<Decimal>,
        offer_id: Option<String>,
    }
}

table! {
    /// What each cancelled or returned quantity was taken off, and when. Ordered quantity of a line = its `quantity` + the sum here.
    /// Without `order_id` and `line_no`: nothing was found that it cancels.
    "cancellations" Cancellation {
        /// the order that cancels or returns
        cancel_order_id: String,
        cancel_line_no: i64,
        product_id: String,
        /// the order and line that it was taken off
        order_id: Option<String>,
        line_no: Option<i64>,
        /// positive
        quantity: Decimal,
        cancelled_at: Timestamp,
    }
}

table! {
    /// Commercial offers ("buy 7 get 2 free", tier price, bundle). `scope` and `terms` are JSON as docs/data.md describes.
    "offers" Offer {
        offer_id: String,
        /// BuyXGetY, TierPrice, PercentOff, AmountOff, BundlePrice or GiftOverTotal
        offer_type: String,
        scope: Option<String>,
        terms: String,
        valid_from: Option<Timestamp>,
        valid_to: Option<Timestamp>,
        priority: Option<i64>,
        stackable: Option<bool>,
        max_per_order: Option<i64>,
    }
}

table! {
    /// Stock levels as of a time; the latest row of a product and place counts.
    "stock" Stock {
        product_id: String,
        city_id: Option<String>,
        on_hand: Decimal,
        on_order: Option<Decimal>,
        backordered: Option<Decimal>,
        lead_time_days: Option<i64>,
        as_of: Timestamp,
    }
}

table! {
    /// What people did, with GA4 e-commerce names; a rating is `type` rate with `value` 1 to 5. `context` is JSON.
    "interactions" Interaction {
        event_id: String,
        ts: Timestamp,
        customer_id: Option<String>,
        session_id: Option<String>,
        event_type: String,
        product_id: Option<String>,
        quantity: Option<Decimal>,
        value: Option<Decimal>,
        placement: Option<String>,
        request_id: Option<String>,
        context: Option<String>,
    }
}

table! {
    /// What was recommended and what became of it, a row for each item of each list. It comes from the event log alone: `endcap-data`
    /// reads it from no other source.
    "exposures" Exposure {
        event_id: String,
        ts: Timestamp,
        request_id: Option<String>,
        customer_id: Option<String>,
        session_id: Option<String>,
        placement: Option<String>,
        model: String,
        version: String,
        arm: Option<String>,
        experiment: Option<String>,
        degraded: Option<String>,
        product_id: String,
        rank: i64,
        kind: String,
        score: f64,
        propensity: f64,
        offer_id: Option<String>,
        /// accepted or declined; neither where nobody said
        accepted: Option<bool>,
        clicked: bool,
    }
}

/// The values of `orders.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStatus {
    Placed,
    Cancelled,
    Returned,
    Adjusted,
}

impl OrderStatus {
    pub const ALL: [Self; 4] = [Self::Placed, Self::Cancelled, Self::Returned, Self::Adjusted];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Cancelled => "cancelled",
            Self::Returned => "returned",
            Self::Adjusted => "adjusted",
        }
    }
}
