//! The products that a version knows, in the order of their dense index.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use rust_decimal::Decimal;

use super::{NONE, money_from_i64, money_to_i64};
use crate::artifact::{ArtifactError, Columns, ColumnsBuilder, Strings};

/// Products, categories, brands. Built sorted by product id, so that equal data gives equal bytes.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    pub ids: Strings,
    pub names: Strings,
    /// Index into `category_ids`, or [`NONE`].
    pub category: Vec<u32>,
    pub subcategory: Vec<u32>,
    pub brand: Vec<u32>,
    /// Products of one number are variants of one another; [`NONE`] for none.
    pub variant_group: Vec<u32>,
    /// Sales units per pack; 0 when not known.
    pub pack_size: Vec<u32>,
    /// 1 where quantities may have a fraction (kilograms, metres).
    pub splittable: Vec<u8>,
    /// Ten-thousandths; `i64::MIN` for none. See [`Catalogue::list_price`].
    pub list_price: Vec<i64>,
    pub cost: Vec<i64>,
    pub active: Vec<u8>,
    /// Categories and subcategories share one list.
    pub category_ids: Strings,
    pub category_names: Strings,
    pub brand_ids: Strings,
    by_id: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

/// One product as the trainer gives it.
#[derive(Clone, Debug, Default)]
pub struct CatalogueRow {
    pub id: String,
    pub name: String,
    pub category: Option<String>,
    pub subcategory: Option<String>,
    pub brand: Option<String>,
    pub variant_of: Option<String>,
    pub pack_size: Option<u32>,
    pub splittable: bool,
    pub list_price: Option<Decimal>,
    pub cost: Option<Decimal>,
    pub active: bool,
}

impl Catalogue {
    /// Builds a catalogue; rows are sorted by id, and of rows with one id the last counts. `category_name` gives a category's name.
    pub fn build(mut rows: Vec<CatalogueRow>, category_name: impl Fn(&str) -> Option<String>) -> Self {
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        rows.reverse();
        rows.dedup_by(|a, b| a.id == b.id);
        rows.reverse();
        let categories = sorted(rows.iter().flat_map(|row| [row.category.as_deref(), row.subcategory.as_deref()]));
        let brands = sorted(rows.iter().map(|row| row.brand.as_deref()));
        // A group is named by its base; a base that is a product itself belongs to its own group when something varies it.
        let groups = sorted(rows.iter().map(|row| row.variant_of.as_deref()));
        let place = |list: &[&str], text: Option<&str>| {
            text.and_then(|text| list.binary_search(&text).ok()).map_or(NONE, |at| at as u32)
        };
        let mut catalogue = Self {
            category_ids: categories.iter().copied().collect(),
            category_names: Strings::new(),
            brand_ids: brands.iter().copied().collect(),
            ..Self::default()
        };
        for id in &categories {
            catalogue.category_names.push(&category_name(id).unwrap_or_else(|| (*id).to_owned()));
        }
        for row in &rows {
            catalogue.ids.push(&row.id);
            catalogue.names.push(&row.name);
            catalogue.category.push(place(&categories, row.category.as_deref()));
            catalogue.subcategory.push(place(&categories, row.subcategory.as_deref()));
            catalogue.brand.push(place(&brands, row.brand.as_deref()));
            let base = row.variant_of.as_deref().unwrap_or(&row.id);
            catalogue.variant_group.push(place(&groups, Some(base)));
            catalogue.pack_size.push(row.pack_size.unwrap_or(0));
            catalogue.splittable.push(u8::from(row.splittable));
            catalogue.list_price.push(money_to_i64(row.list_price));
            catalogue.cost.push(money_to_i64(row.cost));
            catalogue.active.push(u8::from(row.active));
        }
        catalogue.index();
        catalogue
    }

    fn index(&mut self) {
        let hash_of = |ids: &Strings, at: u32| self.hasher.hash_one(ids.get(at as usize));
        let mut by_id = HashTable::with_capacity(self.ids.len());
        for at in 0..self.ids.len() as u32 {
            by_id.insert_unique(hash_of(&self.ids, at), at, |at| hash_of(&self.ids, *at));
        }
        self.by_id = by_id;
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The product's dense index.
    pub fn find(&self, id: &str) -> Option<u32> {
        self.by_id.find(self.hasher.hash_one(id), |at| self.ids.get(*at as usize) == id).copied()
    }

    pub fn id(&self, product: u32) -> &str {
        self.ids.get(product as usize)
    }

    pub fn name(&self, product: u32) -> &str {
        self.names.get(product as usize)
    }

    pub fn category(&self, product: u32) -> u32 {
        self.category.get(product as usize).copied().unwrap_or(NONE)
    }

    pub fn subcategory(&self, product: u32) -> u32 {
        self.subcategory.get(product as usize).copied().unwrap_or(NONE)
    }

    pub fn brand(&self, product: u32) -> u32 {
        self.brand.get(product as usize).copied().unwrap_or(NONE)
    }

    pub fn variant_group(&self, product: u32) -> u32 {
        self.variant_group.get(product as usize).copied().unwrap_or(NONE)
    }

    pub fn list_price(&self, product: u32) -> Option<Decimal> {
        self.list_price.get(product as usize).copied().and_then(money_from_i64)
    }

    pub fn cost(&self, product: u32) -> Option<Decimal> {
        self.cost.get(product as usize).copied().and_then(money_from_i64)
    }

    /// Sales units per pack, where that is known and more than one.
    pub fn pack_size(&self, product: u32) -> Option<u32> {
        self.pack_size.get(product as usize).copied().filter(|size| *size > 1)
    }

    pub fn is_splittable(&self, product: u32) -> bool {
        self.splittable.get(product as usize) == Some(&1)
    }

    pub fn is_active(&self, product: u32) -> bool {
        self.active.get(product as usize) == Some(&1)
    }

    /// A category's or subcategory's index by its id.
    pub fn find_category(&self, id: &str) -> Option<u32> {
        self.category_ids.iter().position(|known| known == id).map(|at| at as u32)
    }

    pub fn find_brand(&self, id: &str) -> Option<u32> {
        self.brand_ids.iter().position(|known| known == id).map(|at| at as u32)
    }

    pub(crate) fn encode(&self, object: &'static str) -> Result<Vec<u8>, ArtifactError> {
        ColumnsBuilder::default()
            .strings("ids", &self.ids)
            .strings("names", &self.names)
            .numbers("category", &self.category)
            .numbers("subcategory", &self.subcategory)
            .numbers("brand", &self.brand)
            .numbers("variant_group", &self.variant_group)
            .numbers("pack_size", &self.pack_size)
            .numbers("splittable", &self.splittable)
            .numbers("list_price", &self.list_price)
            .numbers("cost", &self.cost)
            .numbers("active", &self.active)
            .strings("category_ids", &self.category_ids)
            .strings("category_names", &self.category_names)
            .strings("brand_ids", &self.brand_ids)
            .finish(object)
    }

    /// Reads a catalogue from the bytes of its object.
    pub fn decode(object: &'static str, bytes: &[u8]) -> Result<Self, ArtifactError> {
        let columns = Columns::open(object, bytes)?;
        let ids = columns.strings("ids")?;
        let category_ids = columns.strings("category_ids")?;
        let brand_ids = columns.strings("brand_ids")?;
        let n = ids.len();
        let mut catalogue = Self {
            names: columns.strings("names")?,
            category: columns.exactly("category", n)?,
            subcategory: columns.exactly("subcategory", n)?,
            brand: columns.exactly("brand", n)?,
            variant_group: columns.exactly("variant_group", n)?,
            pack_size: columns.exactly("pack_size", n)?,
            splittable: columns.exactly("splittable", n)?,
            list_price: columns.exactly("list_price", n)?,
            cost: columns.exactly("cost", n)?,
            active: columns.exactly("active", n)?,
            category_names: columns.strings("category_names")?,
            ids,
            category_ids,
            brand_ids,
            ..Self::default()
        };
        catalogue.index();
        Ok(catalogue)
    }

    /// The catalogue of some of its products, in the order given (ascending keeps ids sorted).
    #[must_use]
    pub fn subset(&self, products: &[u32]) -> Self {
        let at = |product: &u32| *product as usize;
        let pick32 = |from: &[u32]| products.iter().map(|p| from.get(at(p)).copied().unwrap_or(NONE)).collect();
        let pick8 = |from: &[u8]| products.iter().map(|p| from.get(at(p)).copied().unwrap_or(0)).collect();
        let pick64 = |from: &[i64]| products.iter().map(|p| from.get(at(p)).copied().unwrap_or(i64::MIN)).collect();
        let mut subset = Self {
            ids: products.iter().map(|p| self.id(*p)).collect(),
            names: products.iter().map(|p| self.name(*p)).collect(),
            category: pick32(&self.category),
            subcategory: pick32(&self.subcategory),
            brand: pick32(&self.brand),
            variant_group: pick32(&self.variant_group),
            pack_size: products.iter().map(|p| self.pack_size(*p).unwrap_or(0)).collect(),
            splittable: pick8(&self.splittable),
            list_price: pick64(&self.list_price),
            cost: pick64(&self.cost),
            active: pick8(&self.active),
            category_ids: self.category_ids.clone(),
            category_names: self.category_names.clone(),
            brand_ids: self.brand_ids.clone(),
            ..Self::default()
        };
        subset.index();
        subset
    }
}

fn sorted<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Vec<&'a str> {
    let mut list: Vec<&str> = texts.flatten().collect();
    list.sort_unstable();
    list.dedup();
    list
}
