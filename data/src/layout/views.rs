//! The views of layout Mv, column by column, with what a missing one costs.

use crate::convert::Kind;

/// A materialised view of a sales system.
#[derive(Debug)]
pub struct View {
    /// `MV_Sales`
    pub name: &'static str,
    /// How SQL names it: `mv_sales`.
    pub table: &'static str,
    pub about: &'static str,
    pub columns: &'static [Column],
    /// What falls away without this view; `None`: nothing can be prepared without it.
    pub cost: Option<&'static str>,
}

#[derive(Debug)]
pub struct Column {
    /// As recommender.md and the reader's documentation spell it: `SalesDate`.
    pub name: &'static str,
    /// As SQL names it: `sales_date`.
    pub sql: &'static str,
    pub kind: Kind,
    /// What falls away without it; `None`: the view cannot be used without it.
    pub cost: Option<&'static str>,
}

const fn need(name: &'static str, sql: &'static str, kind: Kind) -> Column {
    Column { name, sql, kind, cost: None }
}

const fn may(name: &'static str, sql: &'static str, kind: Kind, cost: &'static str) -> Column {
    Column { name, sql, kind, cost: Some(cost) }
}

use Kind::{Bool, Decimal, Int, Text, Time};

const BY_PLACE: &str = "no popularity and no offers by place";
const SEGMENTS: &str = "new customers get the whole shop's favourites instead of their segment's";
const OUTREACH: &str = "no messages through this channel; recommendations are as good without";

pub const VIEWS: &[View] = &[
    View {
        name: "MV_Sales",
        table: "mv_sales",
        about: "orders, one row each",
        cost: None,
        columns: &[
            need("SalesID", "sales_id", Text),
            need("SalesDate", "sales_date", Time),
            need("CustomerID", "customer_id", Text),
            may("Status", "status", Text, "an order counts as cancelled only when all its quantities are negative"),
            may(
                "Channel",
                "channel",
                Text,
                "no popularity by channel, and offers cannot be limited to channels in training",
            ),
            may("CityID", "city_id", Text, BY_PLACE),
            may("AreaID", "area_id", Text, BY_PLACE),
            may("Country", "country", Text, BY_PLACE),
        ],
    },
    View {
        name: "MV_SalesDetail",
        table: "mv_sales_detail",
        about: "lines of orders in the order in which they were entered",
        cost: None,
        columns: &[
            need("SalesID", "sales_id", Text),
            need("LineNo", "line_no", Int),
            need("ProductID", "product_id", Text),
            need("Quantity", "quantity", Decimal),
            need("UnitPrice", "unit_price", Decimal),
            may(
                "Discount",
                "discount",
                Decimal,
                "discounts are taken from Amount where it is there; else price sensitivity is seen in unit prices alone",
            ),
            may("Amount", "amount", Decimal, "nothing where Discount is there"),
            may("OfferID", "offer_id", Text, "which offers worked is inferred from quantities, not known"),
        ],
    },
    View {
        name: "MV_SetupCustomer",
        table: "mv_setup_customer",
        about: "customers",
        cost: Some("customers are known by their orders alone: no segments, contacts or consents"),
        columns: &[
            need("CustomerID", "customer_id", Text),
            may("CustomerName", "customer_name", Text, "nothing: names are never read into the canonical tables"),
            may("CustomerType", "customer_type", Text, SEGMENTS),
            may("Gender", "gender", Text, SEGMENTS),
            may("AgeBand", "age_band", Text, SEGMENTS),
            may("CityID", "city_id", Text, BY_PLACE),
            may("AreaID", "area_id", Text, BY_PLACE),
            may("Country", "country", Text, BY_PLACE),
            may("Email", "email", Text, OUTREACH),
            may("Phone", "phone", Text, OUTREACH),
            may("Consent", "consent", Text, "nobody has consented: no messages are sent"),
            may("CreatedDate", "created_date", Time, "a customer is first seen with the first order"),
        ],
    },
    View {
        name: "MV_SetupProduct",
        table: "mv_setup_product",
        about: "products",
        cost: Some(
            "products come from MV_SalesDetail: no names, categories, brands or list prices, so no cross-category suggestions, no better variants, and new products are unknown",
        ),
        columns: &[
            need("ProductID", "product_id", Text),
            need("ProductName", "product_name", Text),
            may("Description", "description", Text, "new products are placed by their names alone"),
            may(
                "CategoryID",
                "category_id",
                Text,
                "no popularity by category, no cross-category suggestions, no offers by category",
            ),
            may(
                "SubCategoryID",
                "sub_category_id",
                Text,
                "better variants are found through VariantOf alone, no substitutes for what is out of stock",
            ),
            may("BrandID", "brand_id", Text, "no offers by brand, no brand loyalty"),
            may("VariantOf", "variant_of", Text, "better variants are found through the subcategory alone"),
            may("Unit", "unit", Text, "quantities count as pieces"),
            may("PackSize", "pack_size", Decimal, "suggested quantities do not respect packs"),
            may(
                "ListPrice",
                "list_price",
                Decimal,
                "prices come from the latest sale, and a price reduction is not seen as one",
            ),
            may("Cost", "cost", Decimal, "no ranking by margin"),
            may("ProductType", "product_type", Text, "postage, fees and other services count as goods"),
            may("Active", "active", Bool, "products that are no longer sold count as sold"),
        ],
    },
    View {
        name: "MV_SetupCategory",
        table: "mv_setup_category",
        about: "categories",
        cost: Some("categories have ids but no names"),
        columns: &[need("CategoryID", "category_id", Text), need("CategoryName", "category_name", Text)],
    },
    View {
        name: "MV_SetupSubCategory",
        table: "mv_setup_sub_category",
        about: "subcategories",
        cost: Some("subcategories have ids but no names and no parents"),
        columns: &[
            need("SubCategoryID", "sub_category_id", Text),
            need("SubCategoryName", "sub_category_name", Text),
            need("CategoryID", "category_id", Text),
        ],
    },
    View {
        name: "MV_SetupBrand",
        table: "mv_setup_brand",
        about: "brands",
        cost: Some("brands have ids but no names"),
        columns: &[need("BrandID", "brand_id", Text), need("BrandName", "brand_name", Text)],
    },
    View {
        name: "MV_SetupArea",
        table: "mv_setup_area",
        about: "areas",
        cost: Some("areas have ids but no names"),
        columns: &[need("AreaID", "area_id", Text), need("AreaName", "area_name", Text)],
    },
    View {
        name: "MV_SetupCity",
        table: "mv_setup_city",
        about: "cities",
        cost: Some("no table of places; orders and customers keep their own city, area and country"),
        columns: &[
            need("CityID", "city_id", Text),
            need("CityName", "city_name", Text),
            may("AreaID", "area_id", Text, "cities belong to no area"),
            may("Country", "country", Text, "cities belong to no country"),
        ],
    },
    View {
        name: "MV_Promotion",
        table: "mv_promotion",
        about: "commercial offers",
        cost: Some("no offers: quantity upsell follows habit and pack sizes alone"),
        columns: &[
            need("OfferID", "offer_id", Text),
            need("Type", "type", Text),
            need("Terms", "terms", Text),
            need("ValidFrom", "valid_from", Time),
            need("ValidTo", "valid_to", Time),
            may("Scope", "scope", Text, "every offer holds for everything and everybody"),
            may("Priority", "priority", Int, "offers that exclude each other are taken by what they save"),
            may("Stackable", "stackable", Bool, "no offer stacks with another"),
            may("MaxPerOrder", "max_per_order", Int, "an offer counts as often as its terms allow"),
        ],
    },
    View {
        name: "MV_Stock",
        table: "mv_stock",
        about: "stock levels",
        cost: Some("everything counts as in stock until stock_changed events come"),
        columns: &[
            need("ProductID", "product_id", Text),
            need("OnHand", "on_hand", Decimal),
            need("AsOf", "as_of", Time),
            may("CityID", "city_id", Text, "one stock for all places"),
            may("OnOrder", "on_order", Decimal, "what is on its way is not shown"),
            may("Backordered", "backordered", Decimal, "backordered products are not pushed down"),
            may("LeadTimeDays", "lead_time_days", Int, "no replenishment dates"),
        ],
    },
    View {
        name: "MV_OnlineCustomerView",
        table: "mv_online_customer_view",
        about: "what people did online",
        cost: Some("no sessions: nothing is learned from views and abandoned carts until events come"),
        columns: &[
            need("EventTime", "event_time", Time),
            need("SessionID", "session_id", Text),
            need("ProductID", "product_id", Text),
            need("EventType", "event_type", Text),
            may("CustomerID", "customer_id", Text, "sessions belong to no customer"),
            may("Device", "device", Text, "nothing by device"),
            may("Referrer", "referrer", Text, "nothing by where people came from"),
            may("CityID", "city_id", Text, BY_PLACE),
        ],
    },
];

/// A view by its SQL name.
pub fn view(table: &str) -> Option<&'static View> {
    VIEWS.iter().find(|view| view.table == table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::same_name;

    #[test]
    fn sql_names_are_the_same_names() {
        for view in VIEWS {
            assert!(same_name(view.name, view.table), "{}", view.name);
            for column in view.columns {
                assert!(same_name(column.name, column.sql), "{}.{}", view.name, column.name);
                assert_eq!(column.sql, column.sql.to_lowercase());
            }
        }
    }
}
