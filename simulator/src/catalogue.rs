//! The products: hierarchy, design ranges, variants, prices, and what is hidden in them.

use std::collections::{BTreeMap, HashMap};

use endcap_tables::{Brand, Category, Product};
use rand::seq::SliceRandom;
use rust_decimal::Decimal;

use crate::dice::{Dice, Stream, below, between, chance, dice, direction, lognormal, mix, normal, poisson, tidy};
use crate::spec::{Preset, WorldSpec};
use crate::truth::{Interruption, ProductNo, ProductTruth, SubcategoryTruth};
use crate::words::{Noun, Words, product_name, words};

/// Hundredths of the currency as a decimal.
pub(crate) fn money(cents: i64) -> Decimal {
    Decimal::new(cents, 2)
}

pub(crate) struct Catalogue {
    pub rows: Vec<Product>,
    pub categories: Vec<Category>,
    pub brands: Vec<Brand>,
    pub subcategories: Vec<SubcategoryTruth>,
    pub products: Vec<ProductTruth<ProductNo>>,
    /// The shop's words, by need.
    pub words: Words,
}

struct Hierarchy {
    categories: Vec<Category>,
    subcategories: Vec<SubcategoryTruth>,
    /// Subcategory of each noun.
    of_noun: Vec<u16>,
}

fn hierarchy(spec: &WorldSpec, words: &Words) -> Hierarchy {
    let mut roll = dice(spec.seed, Stream::Ranges, 0);
    let mut categories: Vec<Category> = Vec::new();
    let mut subcategories: Vec<SubcategoryTruth> = Vec::new();
    let mut of_noun = Vec::new();
    let mut category_ids: BTreeMap<&str, String> = BTreeMap::new();
    let mut subcategory_numbers: BTreeMap<(&str, &str), u16> = BTreeMap::new();
    let mut leaves = Vec::new();
    for noun in words.nouns {
        let next_id = format!("C{:02}", category_ids.len() + 1);
        let category_id = category_ids.entry(noun.category).or_insert_with(|| {
            categories.push(Category {
                category_id: next_id.clone(),
                name: Some(noun.category.to_owned()),
                parent_id: None,
            });
            next_id
        });
        let next = subcategories.len() as u16;
        let number = *subcategory_numbers.entry((noun.category, noun.subcategory)).or_insert_with(|| {
            let subcategory_id = format!("S{:03}", next + 1);
            leaves.push(Category {
                category_id: subcategory_id.clone(),
                name: Some(noun.subcategory.to_owned()),
                parent_id: Some(category_id.clone()),
            });
            subcategories.push(SubcategoryTruth {
                subcategory_id,
                category_id: category_id.clone(),
                name: noun.subcategory.to_owned(),
                weight: tidy(lognormal(&mut roll, 1.0, 0.5)),
                taste: direction(&mut roll),
            });
            next
        });
        of_noun.push(number);
    }
    categories.extend(leaves);
    Hierarchy { categories, subcategories, of_noun }
}

/// Prices end as the shop likes them: 5 in the gift shop, 9 in the supermarket.
fn price_ending(preset: Preset, cents: f32) -> i64 {
    let (step, last) = match preset {
        Preset::GiftShop => (10, 5),
        Preset::Grocery => (10, 9),
    };
    ((cents / step as f32).round() as i64 * step + last - step).max(last)
}

fn interruptions(spec: &WorldSpec, roll: &mut Dice) -> Vec<Interruption> {
    let days = spec.days as f32;
    let mut gaps: Vec<Interruption> = (0..poisson(roll, 0.8 * days / 365.0))
        .map(|_| {
            let from = between(roll, 0.0, days) as i32;
            Interruption { from_day: from, to_day: from + lognormal(roll, 9.0, 0.6).clamp(2.0, 60.0) as i32 }
        })
        .collect();
    if chance(roll, 0.03) {
        let end = spec.days as i32;
        gaps.push(Interruption {
            from_day: end - between(roll, 2.0, 12.0) as i32,
            to_day: end + between(roll, 5.0, 30.0) as i32,
        });
    }
    gaps.sort_by_key(|gap| (gap.from_day, gap.to_day));
    gaps
}

pub(crate) fn catalogue(spec: &WorldSpec) -> Catalogue {
    let words = words(spec.preset);
    let Hierarchy { categories, subcategories, of_noun } = hierarchy(spec, &words);
    let mut roll = dice(spec.seed, Stream::Ranges, 1);
    let ranges: Vec<_> =
        words.ranges.iter().map(|&name| (name, direction(&mut roll), lognormal(&mut roll, 1.0, 0.18))).collect();
    let brands = ranges
        .iter()
        .enumerate()
        .map(|(no, (name, _, _))| Brand { brand_id: format!("B{:03}", no + 1), name: Some(title(name)) });
    let brands: Vec<Brand> = brands.collect();

    let mut rows = Vec::with_capacity(spec.products as usize);
    let mut products = Vec::with_capacity(spec.products as usize);
    let mut editions: HashMap<(usize, usize), usize> = HashMap::new();
    let mut family = 0;
    while rows.len() < spec.products as usize {
        let mut roll = dice(spec.seed, Stream::Products, family as u64);
        // The first round visits every noun, so that even a small shop has the whole hierarchy.
        let need = if family < words.nouns.len() {
            family * 37 % words.nouns.len()
        } else {
            below(&mut roll, words.nouns.len())
        };
        let (Some(noun), Some(&subcategory)) = (words.nouns.get(need), of_noun.get(need)) else { break };
        let brand = below(&mut roll, ranges.len());
        let (Some((range, range_taste, range_price)), Some(place)) =
            (ranges.get(brand), subcategories.get(usize::from(subcategory)))
        else {
            break;
        };
        let edition = editions.entry((need, brand)).or_insert(0);
        let variants = variants(&words, noun, &mut roll);
        let family_price = lognormal(&mut roll, noun.price, 0.28) * range_price;
        let family_popularity = lognormal(&mut roll, 1.0, 0.75);
        let pack = noun.packs.get(below(&mut roll, noun.packs.len())).copied().unwrap_or(1);
        let launched_day = match between(&mut roll, 0.0, 1.0) {
            part if part < 0.84 => 0,
            part if part < 0.97 => (between(&mut roll, 0.05, 0.9) * spec.days as f32) as i32,
            _ => (between(&mut roll, 0.95, 1.0) * spec.days as f32) as i32,
        };
        let retired_day = (launched_day == 0 && chance(&mut roll, 0.04))
            .then(|| (between(&mut roll, 0.3, 0.98) * spec.days as f32) as i32);
        let code = 10_000 + family;
        let first = format!("{code}{}", if variants.len() > 1 { "A" } else { "" });
        let variant_count = variants.len();
        for (variant_no, variant) in variants.into_iter().enumerate() {
            if rows.len() == spec.products as usize {
                break;
            }
            let letter = char::from(b'A' + variant_no as u8);
            let product_id = if variant_count > 1 { format!("{code}{letter}") } else { code.to_string() };
            let price_cents = price_ending(spec.preset, family_price * if variant_no % 3 == 2 { 1.2 } else { 1.0 });
            let name = product_name(spec.preset, noun.name, variant, range, *edition);
            rows.push(Product {
                product_id: product_id.clone(),
                text: Some(format!(
                    "{} {} of the {} range, {}",
                    title(variant),
                    noun.name.to_lowercase(),
                    title(range),
                    place.name.to_lowercase()
                )),
                name: Some(name),
                category_id: Some(place.category_id.clone()),
                subcategory_id: Some(place.subcategory_id.clone()),
                brand_id: brands.get(brand).map(|brand| brand.brand_id.clone()),
                variant_of: (variant_count > 1).then(|| first.clone()),
                unit: Some(words.unit.to_owned()),
                pack_size: Some(Decimal::from(pack)),
                list_price: Some(money(price_cents)),
                cost: Some(money((price_cents as f32 * between(&mut roll, 0.38, 0.72)) as i64)),
                active: retired_day.is_none(),
            });
            let trend = match between(&mut roll, 0.0, 1.0) {
                part if part < 0.06 => between(&mut roll, 1.2, 2.2),
                part if part < 0.12 => -between(&mut roll, 1.2, 2.2),
                _ => 0.25 * normal(&mut roll),
            };
            let own = direction(&mut roll);
            products.push(ProductTruth {
                product_id,
                subcategory,
                need: need as u16,
                brand: brand as u16,
                price_cents,
                pack,
                popularity: tidy(family_popularity * lognormal(&mut roll, 1.0, 0.6)).max(0.01),
                trend: tidy(trend),
                season: noun.season,
                launched_day,
                retired_day,
                interruptions: interruptions(spec, &mut roll),
                backorders: chance(&mut roll, 0.5),
                taste: mix(&[(0.75, *range_taste), (0.5, own), (0.3, place.taste)]),
                complements: Vec::new(),
                substitutes: Vec::new(),
            });
        }
        *edition += 1;
        family += 1;
    }
    Catalogue { rows, categories, brands, subcategories, products, words }
}

fn variants(words: &Words, noun: &Noun, roll: &mut Dice) -> Vec<&'static str> {
    let mut variants = if noun.variants.is_empty() { words.variants.to_vec() } else { noun.variants.to_vec() };
    variants.shuffle(roll);
    let wanted = 1 + poisson(roll, 1.1).min(4);
    variants.truncate(wanted);
    variants
}

fn title(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect()
        })
    });
    words.collect::<Vec<String>>().join(" ")
}
