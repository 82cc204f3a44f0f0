//! What a placement shows: which kinds, how many, in which order, how varied.

use super::blend::Scored;
use super::{CompiledPolicy, Facts, Pick, Situated};
use crate::candidates::Signal;
use crate::fitted::{Model, NONE};
use crate::request::{Placement, RecommendationRequest, WantedKind};
use crate::response::Kind;

#[derive(Clone, Debug)]
pub(crate) struct Mix {
    pub limit: usize,
    pub kinds: Vec<Kind>,
    /// Quantity upsells and better products at most.
    pub max_upsells: usize,
    /// Strength of [`diversify`]. Where an order is made, lists stand as they were ranked and measured; a grid to browse is varied.
    pub diversity: f32,
    /// The caller named the kinds: others come only where there is nothing of these.
    pub is_explicit: bool,
}

impl Mix {
    pub fn of(facts: &Facts<'_>, request: &RecommendationRequest) -> Self {
        use Kind::{CrossSell, Popular, Reorder, UpsellProduct, UpsellQuantity};
        let (limit, kinds, max_upsells) = match request.placement {
            Placement::OrderEntry => (8, vec![Reorder, CrossSell, UpsellQuantity, UpsellProduct, Popular], 3),
            Placement::Cart => (8, vec![CrossSell, UpsellQuantity, UpsellProduct, Reorder], 3),
            Placement::Product => (6, vec![CrossSell, UpsellProduct], 2),
            Placement::Checkout => (4, vec![CrossSell, UpsellQuantity, Reorder], 2),
            Placement::PostPurchase => (6, vec![CrossSell, UpsellProduct], 2),
            Placement::AbandonedCart => (6, vec![CrossSell, UpsellProduct], 2),
            Placement::Home | Placement::Email => (12, vec![Reorder, CrossSell, Popular], 0),
        };
        let diversity = if matches!(request.placement, Placement::Home | Placement::Email) { 0.25 } else { 0.0 };
        let own = facts.policy.placement(request.placement);
        let kinds = own.map(|own| own.kinds.clone()).filter(|kinds| !kinds.is_empty()).unwrap_or(kinds);
        let limit = own.and_then(|own| own.limit).map_or(limit, |limit| limit as usize);
        let limit = request.limit.map_or(limit, |limit| limit as usize);
        if request.kinds.is_empty() {
            return Self { limit, kinds, max_upsells: max_upsells.min(limit), diversity, is_explicit: false };
        }
        let mut wanted = Vec::new();
        for kind in &request.kinds {
            match kind {
                WantedKind::CrossSell => wanted.push(CrossSell),
                WantedKind::Upsell => wanted.extend([UpsellQuantity, UpsellProduct]),
                WantedKind::UpsellQuantity => wanted.push(UpsellQuantity),
                WantedKind::UpsellProduct => wanted.push(UpsellProduct),
                WantedKind::Reorder => wanted.push(Reorder),
                WantedKind::Popular => wanted.push(Popular),
            }
        }
        let only_upsells = wanted.iter().all(|kind| matches!(kind, UpsellQuantity | UpsellProduct));
        let max_upsells = if only_upsells { limit } else { max_upsells.max(2).min(limit) };
        Self { limit, kinds: wanted, max_upsells, diversity, is_explicit: true }
    }

    pub fn wants(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// As what the mix would show a candidate; none when it does not want it.
    pub fn label(&self, situated: &Situated<'_>, candidate: &Scored) -> Option<Kind> {
        let natural = candidate.natural_kind(situated);
        if self.wants(natural) {
            return Some(natural);
        }
        let goes_with_something = !situated.question.anchors.is_empty() && candidate.together() > 0.0;
        if goes_with_something && self.wants(Kind::CrossSell) {
            Some(Kind::CrossSell)
        } else if candidate.part(Signal::Personal) > 0.0 && self.wants(Kind::Reorder) {
            Some(Kind::Reorder)
        } else if self.wants(Kind::Popular) {
            Some(Kind::Popular)
        } else {
            None
        }
    }
}

/// Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): of near equals, the one that is less like those before it.
pub(crate) fn diversify(model: &Model, best_first: Vec<Scored>, limit: usize, strength: f32) -> Vec<Scored> {
    if strength <= 0.0 {
        return best_first;
    }
    let Some(top) = best_first.first().map(|scored| scored.value.abs().max(f32::MIN_POSITIVE)) else {
        return best_first;
    };
    let mut rest: Vec<(Scored, f32)> = best_first.into_iter().map(|scored| (scored, 0.0f32)).collect();
    let mut chosen = Vec::with_capacity(rest.len());
    while chosen.len() < limit && !rest.is_empty() {
        let best = rest
            .iter()
            .enumerate()
            .max_by(|(a_at, (a, a_like)), (b_at, (b, b_like))| {
                let marginal = |scored: &Scored, like: f32| scored.value / top - strength * like;
                marginal(a, *a_like).total_cmp(&marginal(b, *b_like)).then(b_at.cmp(a_at))
            })
            .map_or(0, |(at, _)| at);
        let (pick, _) = rest.remove(best);
        for (other, like) in &mut rest {
            *like = like.max(likeness(model, pick.product, other.product));
        }
        chosen.push(pick);
    }
    chosen.extend(rest.into_iter().map(|(scored, _)| scored));
    chosen
}

fn likeness(model: &Model, a: u32, b: u32) -> f32 {
    let catalogue = &model.catalogue;
    let same = |of: fn(&crate::fitted::Catalogue, u32) -> u32| {
        of(catalogue, a) != NONE && of(catalogue, a) == of(catalogue, b)
    };
    if same(crate::fitted::Catalogue::variant_group) {
        1.0
    } else if same(crate::fitted::Catalogue::subcategory) {
        0.4
    } else if same(crate::fitted::Catalogue::category) {
        0.1
    } else {
        0.0
    }
}

/// Whether a product stands in a list already.
fn holds(picks: &[Pick], product: u32) -> bool {
    picks.iter().any(|pick| pick.product == product)
}

/// Puts the list together: upsells stand at every second place from the second on, what fills comes last.
pub(crate) fn compose(
    mix: &Mix,
    upsells: Vec<Pick>,
    main: &[Scored],
    fill: &[Scored],
    dress: impl Fn(&Scored) -> Pick,
) -> Vec<Pick> {
    let mut picks: Vec<Pick> = Vec::with_capacity(mix.limit);
    let mut upsells = upsells.into_iter().take(mix.max_upsells).peekable();
    let mut main = main.iter().peekable();
    while picks.len() < mix.limit && (main.peek().is_some() || upsells.peek().is_some()) {
        let is_upsells_turn = picks.len() % 2 == 1 || main.peek().is_none() || picks.len() + upsells.len() >= mix.limit;
        let next =
            if is_upsells_turn { upsells.next().or_else(|| main.next().map(&dress)) } else { main.next().map(&dress) };
        if let Some(pick) = next
            && !holds(&picks, pick.product)
        {
            picks.push(pick);
        }
    }
    if picks.is_empty() || !mix.is_explicit {
        for scored in fill {
            if picks.len() >= mix.limit {
                break;
            }
            if !holds(&picks, scored.product) {
                picks.push(dress(scored));
            }
        }
    }
    picks
}

/// At most so many upsells that rest on an offer.
pub(crate) fn cap_offers(policy: &CompiledPolicy, upsells: &mut Vec<Pick>) {
    let max = policy.policy.over_promotion.max_offer_items as usize;
    let mut with_offer = 0;
    upsells.retain(|pick| {
        with_offer += usize::from(pick.offer.is_some());
        pick.offer.is_none() || with_offer <= max
    });
}
