//! The shelf by subcategory, month and season: what a customer sees who has a need but no favourite.

use crate::dice::{Dice, Stream, dice, pick_cumulative};
use crate::spec::WorldSpec;
use crate::truth::{ProductNo, ProductTruth, SubcategoryTruth};
use crate::words::Season;

/// Days of one step of the shelf.
const MONTH_DAYS: f64 = 30.0;

/// Products with their summed weights.
#[derive(Debug, Default)]
pub(crate) struct Rack {
    pub products: Vec<ProductNo>,
    cumulative: Vec<f32>,
}

impl Rack {
    fn new(weighted: impl Iterator<Item = (ProductNo, f32)>) -> Self {
        let mut rack = Self::default();
        let mut sum = 0.0;
        for (product, weight) in weighted.filter(|&(_, weight)| weight > 0.0) {
            sum += weight;
            rack.products.push(product);
            rack.cumulative.push(sum);
        }
        rack
    }

    pub fn pick(&self, dice: &mut Dice) -> Option<ProductNo> {
        self.products.get(pick_cumulative(dice, &self.cumulative)?).copied()
    }
}

#[derive(Debug)]
struct Month {
    by_subcategory: Vec<Rack>,
    /// What the shop advertises this month, whatever it is: bought together because it is advertised together.
    flyer: Rack,
}

#[derive(Debug)]
pub(crate) struct Shelf {
    days: u32,
    /// Weighted by popularity alone.
    by_subcategory: Vec<Rack>,
    months: Vec<Month>,
    seasons: Vec<(Season, Rack)>,
    /// Median price by need, in hundredths.
    need_price: Vec<f32>,
}

/// How popular a product is on a day: season and trend included.
pub(crate) fn demand(spec: &WorldSpec, product: &ProductTruth<ProductNo>, day: f64) -> f32 {
    if !product.on_sale(day) {
        return 0.0;
    }
    let middle = f64::from(spec.days) / 2.0;
    let years = ((day - middle) / 365.0) as f32;
    product.popularity * product.season.factor(spec.day_of_year(day)) * (product.trend * years).exp()
}

impl Shelf {
    pub fn new(spec: &WorldSpec, subcategories: &[SubcategoryTruth], products: &[ProductTruth<ProductNo>]) -> Self {
        let mut members = vec![Vec::new(); subcategories.len()];
        for (no, product) in products.iter().enumerate() {
            if let Some(list) = members.get_mut(usize::from(product.subcategory)) {
                list.push((no as ProductNo, product));
            }
        }
        let by_subcategory =
            members.iter().map(|list| Rack::new(list.iter().map(|&(no, product)| (no, product.popularity)))).collect();
        let month_count = (f64::from(spec.days) / MONTH_DAYS).ceil() as u32;
        let months = (0..month_count).map(|month| {
            let day = (f64::from(month) + 0.5) * MONTH_DAYS;
            let racks = members
                .iter()
                .map(|list| Rack::new(list.iter().map(|&(no, product)| (no, demand(spec, product, day)))));
            Month { by_subcategory: racks.collect(), flyer: flyer(spec, products, month, day) }
        });
        let months = months.collect();
        let seasons = Season::SEASONAL.into_iter().map(|season| {
            let of_season = products.iter().enumerate().filter(|(_, product)| product.season == season);
            // Bestsellers of a season are few: squaring sharpens them.
            (
                season,
                Rack::new(of_season.map(|(no, product)| (no as ProductNo, product.popularity * product.popularity))),
            )
        });
        let seasons = seasons.collect();
        Self { days: spec.days, by_subcategory, months, seasons, need_price: need_prices(products) }
    }

    /// Days beyond the period fall on the same time of the year within it.
    fn month(&self, day: f64) -> Option<&Month> {
        let days = f64::from(self.days);
        let mut day = day.max(0.0);
        if day >= days {
            day = if days >= 365.0 { days - 365.0 + (day - days).rem_euclid(365.0) } else { days - 1.0 };
        }
        self.months.get(((day / MONTH_DAYS) as usize).min(self.months.len().saturating_sub(1)))
    }

    pub fn pick(&self, subcategory: u16, day: f64, dice: &mut Dice) -> Option<ProductNo> {
        self.month(day)?.by_subcategory.get(usize::from(subcategory))?.pick(dice)
    }

    pub fn pick_flyer(&self, day: f64, dice: &mut Dice) -> Option<ProductNo> {
        self.month(day)?.flyer.pick(dice)
    }

    pub fn flyer(&self, day: f64) -> &[ProductNo] {
        self.month(day).map_or(&[], |month| &month.flyer.products)
    }

    pub fn pick_any_time(&self, subcategory: u16, dice: &mut Dice) -> Option<ProductNo> {
        self.by_subcategory.get(usize::from(subcategory))?.pick(dice)
    }

    /// Something of a season that is on, if one is.
    pub fn pick_seasonal(&self, day_of_year: f32, dice: &mut Dice) -> Option<ProductNo> {
        let (_, rack) =
            self.seasons.iter().find(|(season, rack)| season.is_on(day_of_year) && !rack.products.is_empty())?;
        rack.pick(dice)
    }

    pub fn need_price(&self, need: u16) -> f32 {
        self.need_price.get(usize::from(need)).copied().unwrap_or(1.0)
    }
}

fn flyer(spec: &WorldSpec, products: &[ProductTruth<ProductNo>], month: u32, day: f64) -> Rack {
    let mut dice = dice(spec.seed, Stream::Flyers, u64::from(month));
    let wanted = (products.len() / 80).clamp(6, 60);
    let mut featured = Vec::with_capacity(wanted);
    for _ in 0..wanted * 20 {
        let no = crate::dice::below(&mut dice, products.len());
        let taken = featured.iter().any(|&(other, _)| other as usize == no);
        let fit = products
            .get(no)
            .is_some_and(|product| product.on_sale(day) && demand(spec, product, day) > 0.3 * product.popularity);
        if fit && !taken {
            // The front page sells more than the last one.
            featured.push((no as ProductNo, 1.0 / (1.0 + featured.len() as f32).sqrt()));
        }
        if featured.len() == wanted {
            break;
        }
    }
    Rack::new(featured.into_iter())
}

fn need_prices(products: &[ProductTruth<ProductNo>]) -> Vec<f32> {
    let needs = products.iter().map(|product| usize::from(product.need) + 1).max().unwrap_or(0);
    let mut prices = vec![Vec::new(); needs];
    for product in products {
        if let Some(list) = prices.get_mut(usize::from(product.need)) {
            list.push(product.price_cents);
        }
    }
    let median = |mut list: Vec<i64>| {
        list.sort_unstable();
        list.get(list.len() / 2).map_or(1.0, |&price| price.max(1) as f32)
    };
    prices.into_iter().map(median).collect()
}
