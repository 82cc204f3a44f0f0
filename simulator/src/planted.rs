//! Habits that stop just short of an offer: what `upsell_quantity` should find.

use endcap_recommender::offers::{Offer, Terms};

use crate::dice::{Stream, below, between, dice, tidy};
use crate::offers::SEVEN_GET_TWO;
use crate::spec::Preset;
use crate::truth::{Habit, PlantedUpsell, Truth};

/// Offers with planted customers: all "buy N get M" and this many price breaks.
const PLANTED_TIERS: usize = 5;

/// The first quantity from which an offer gives something.
pub(crate) fn threshold(terms: &Terms) -> Option<u32> {
    match terms {
        Terms::BuyXGetY { buy, .. } => Some(*buy),
        Terms::TierPrice { tiers } => tiers.iter().map(|tier| tier.min_quantity).min(),
        _ => None,
    }
}

/// Gives some customers a habit just below the threshold, and writes down who.
pub(crate) fn plant(truth: &mut Truth, offers: &[Offer]) {
    let mut tiers = 0;
    let mut planted = Vec::new();
    for (no, offer) in offers.iter().enumerate() {
        let Some(threshold) = threshold(&offer.terms) else { continue };
        if matches!(offer.terms, Terms::TierPrice { .. }) {
            tiers += 1;
            if tiers > PLANTED_TIERS {
                continue;
            }
        }
        let Some(product) = offer.scope.products.first().and_then(|id| truth.product_no(id)) else { continue };
        let seven = &*offer.offer_id == SEVEN_GET_TWO;
        let (share, least) = if seven { (0.03, 6) } else { (0.008, 3) };
        let wanted = ((truth.customers.len() as f32 * share) as usize).max(least);
        let roll = &mut dice(truth.spec.seed, Stream::Planted, no as u64);
        let days = truth.spec.days as f32;
        let grocery = truth.spec.preset == Preset::Grocery;
        let mut chosen = Vec::new();
        for _ in 0..wanted * 50 {
            let no = below(roll, truth.customers.len());
            let fit =
                truth.customers.get(no).is_some_and(|one| one.joined_day < 0.4 * days && one.left_day > days + 1_000.0);
            if fit && !chosen.contains(&no) && chosen.len() < wanted {
                chosen.push(no);
            }
        }
        for no in chosen {
            let least = (threshold * 3).div_ceil(5);
            let quantity = least + below(roll, threshold.saturating_sub(least) as usize) as u32;
            let interval = tidy(if grocery { between(roll, 8.0, 18.0) } else { between(roll, 18.0, 35.0) });
            let eager = tidy(between(roll, 0.6, 0.9));
            let Some(customer) = truth.customers.get_mut(no) else { continue };
            customer.tastes.habits.retain(|habit| habit.product != product);
            customer.tastes.habits.push(Habit { product, interval_days: interval, quantity });
            customer.visit_interval_days = customer.visit_interval_days.min(interval);
            customer.offer_sensitivity = customer.offer_sensitivity.max(eager);
            let row = PlantedUpsell {
                customer_id: customer.customer_id.clone(),
                product_id: offer.scope.products.first().map(ToString::to_string).unwrap_or_default(),
                offer_id: offer.offer_id.to_string(),
                habitual_quantity: quantity,
                threshold,
                probability: 0.0,
            };
            planted.push((no, row));
        }
    }
    for (no, mut row) in planted {
        if let Some(customer) = truth.customers.get(no) {
            row.probability =
                tidy(
                    Truth::upsell_acceptance(customer, row.habitual_quantity as f32, row.threshold as f32, true) as f32
                );
        }
        truth.planted.push(row);
    }
}
