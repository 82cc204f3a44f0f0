//! Products, categories and brands by id or by name, as the artifact knows them.

use std::collections::{BTreeSet, HashMap};

use endcap_crds::nearest;
use endcap_recommender::fitted::Catalogue;

/// How many of several products of one name a message lists.
const LISTED: usize = 5;

/// Finds what a person wrote. What is not found is a mistake: a misspelt product would be missing from every list, and so always be
/// "not recommended".
#[derive(Debug)]
pub struct Names<'a> {
    catalogue: &'a Catalogue,
    products: HashMap<String, Vec<u32>>,
}

/// Case and the number of blanks make no difference.
fn folded(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

impl<'a> Names<'a> {
    pub fn new(catalogue: &'a Catalogue) -> Self {
        let mut products: HashMap<String, Vec<u32>> = HashMap::new();
        for product in 0..catalogue.len() as u32 {
            products.entry(folded(catalogue.name(product))).or_default().push(product);
        }
        Self { catalogue, products }
    }

    /// The id of a product; else what is wrong and what to write instead.
    pub fn product(&self, text: &str) -> Result<String, String> {
        if self.catalogue.find(text).is_some() {
            return Ok(text.to_owned());
        }
        match self.products.get(&folded(text)).map(Vec::as_slice) {
            Some([one]) => Ok(self.catalogue.id(*one).to_owned()),
            Some(several) if !several.is_empty() => {
                let ids: Vec<&str> = several.iter().take(LISTED).map(|at| self.catalogue.id(*at)).collect();
                let more = if several.len() > LISTED { ", ..." } else { "" };
                Err(format!("{} products are named \"{text}\"; write the id: {}{more}", several.len(), ids.join(", ")))
            }
            _ => {
                let names = self.catalogue.names.iter().chain(self.catalogue.ids.iter());
                Err(unknown("product", text, names))
            }
        }
    }

    /// The id of a category or subcategory.
    pub fn category(&self, text: &str) -> Result<String, String> {
        let catalogue = self.catalogue;
        if catalogue.find_category(text).is_some() {
            return Ok(text.to_owned());
        }
        let named = catalogue.category_ids.iter().zip(catalogue.category_names.iter());
        let ids: Vec<&str> = named.filter(|(_, name)| folded(name) == folded(text)).map(|(id, _)| id).collect();
        match ids.as_slice() {
            [one] => Ok((*one).to_owned()),
            [] => {
                let names = catalogue.category_names.iter().chain(catalogue.category_ids.iter());
                Err(unknown("category", text, names))
            }
            several => Err(format!("several categories are named \"{text}\"; write the id: {}", several.join(", "))),
        }
    }

    pub fn brand(&self, text: &str) -> Result<String, String> {
        match self.catalogue.find_brand(text) {
            Some(_) => Ok(text.to_owned()),
            None => Err(unknown("brand", text, self.catalogue.brand_ids.iter())),
        }
    }
}

/// What is said of a name that nothing has.
pub fn unknown<'n>(what: &str, text: &str, known: impl Iterator<Item = &'n str>) -> String {
    let known: BTreeSet<&str> = known.collect();
    let meant = nearest(text, known.iter().copied());
    let remedy = match (meant, known.len()) {
        (Some(meant), _) => format!("did you mean \"{meant}\"?"),
        (None, 0) => format!("there is no {what} at all"),
        (None, 1..=12) => format!("known are {}", known.into_iter().collect::<Vec<_>>().join(", ")),
        (None, count) => format!("write the id or the name of one of the {count} that the artifact knows"),
    };
    format!("\"{text}\" is no {what} of this artifact; {remedy}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use endcap_recommender::fitted::CatalogueRow;

    use super::*;

    #[test]
    fn ids_and_names_are_found_and_the_rest_is_explained() {
        let row = |id: &str, name: &str, category: &str| CatalogueRow {
            id: id.to_owned(),
            name: name.to_owned(),
            category: Some(category.to_owned()),
            brand: Some("B001".to_owned()),
            ..CatalogueRow::default()
        };
        let rows = vec![
            row("22384", "LUNCH BAG PINK", "C01"),
            row("22385", "LUNCH BAG RED", "C01"),
            row("7", "Same", "C02"),
            row("8", "SAME", "C02"),
        ];
        let catalogue = Catalogue::build(rows, |id| Some(format!("Category {id}")));
        let names = Names::new(&catalogue);
        assert_eq!(names.product("22384").unwrap(), "22384");
        assert_eq!(names.product("lunch  bag red").unwrap(), "22385");
        assert_eq!(
            names.product("LUNCH BAG ROD").unwrap_err(),
            "\"LUNCH BAG ROD\" is no product of this artifact; did you mean \"LUNCH BAG RED\"?"
        );
        assert_eq!(names.product("same").unwrap_err(), "2 products are named \"same\"; write the id: 7, 8");
        assert_eq!(names.category("category c02").unwrap(), "C02");
        assert!(
            names.category("Toys and games").unwrap_err().ends_with("known are C01, C02, Category C01, Category C02")
        );
        assert_eq!(names.brand("B001").unwrap(), "B001");
        assert!(names.brand("Acme").is_err());
    }
}
