//! What a given choice of offers does to a set of lines. The choice is [`super::choose`]'s.

use rust_decimal::Decimal;

use super::case::{Case, cut, limit};
use super::money::{fits, times};
use super::terms::Terms;
use crate::ids::ProductId;

/// What one line gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// One offer that excludes all others.
    Only(usize),
    /// All stackable offers, of the scarce ones (fewer uses than lines that want one) those of the mask.
    Stack(u32),
}

/// The offers that have an effect on one line.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub exclusive: Vec<usize>,
    /// Stackable ones, by id; without the scarce ones.
    pub stack: Vec<usize>,
    /// Stackable ones that are scarce: bit i of the mask.
    pub scarce: Vec<usize>,
    /// The highest priority among the stackable ones.
    pub level: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Use {
    pub offer: usize,
    pub times: u64,
    pub saving: Decimal,
    pub gift: Option<(ProductId, Decimal)>,
}

/// A line after its offers.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub amount: Decimal,
    pub uses: Vec<Use>,
}

impl Outcome {
    pub fn saving(&self) -> Decimal {
        self.uses.iter().map(|used| used.saving).sum()
    }

    fn pay(&mut self, offer: usize, times: u64, amount: Decimal) {
        if amount < self.amount {
            self.uses.push(Use { offer, times, saving: self.amount - amount, gift: None });
            self.amount = amount;
        }
    }
}

fn rank(terms: &Terms) -> u8 {
    match terms {
        Terms::TierPrice { .. } => 0,
        Terms::PercentOff { .. } => 1,
        Terms::AmountOff { .. } => 2,
        Terms::BundlePrice { .. } => 3,
        Terms::BuyXGetY { .. } | Terms::GiftOverTotal { .. } => 4,
    }
}

/// The stackable offers that are switched on, in the order in which they act: tier price, percent, amount, bundle, free goods; then by id.
fn switched_on(case: &Case<'_>, wanted: &Wanted, mask: u32) -> Vec<usize> {
    let scarce = wanted.scarce.iter().enumerate().filter(|&(bit, _)| mask >> bit & 1 == 1).map(|(_, &o)| o);
    let mut on: Vec<usize> = wanted.stack.iter().copied().chain(scarce).collect();
    on.sort_by_key(|&o| (case.pool.get(o).map_or(u8::MAX, |offer| rank(&offer.terms)), o));
    on
}

/// Applies each line's mode. `lines`, `wanted` and `modes` run in parallel.
pub(super) fn combine(case: &Case<'_>, lines: &[usize], wanted: &[&Wanted], modes: &[Mode]) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(lines.len());
    // (offer, position in `lines`) of what reaches over lines
    let mut bundles: Vec<(usize, usize)> = Vec::new();
    let mut free: Vec<(usize, usize)> = Vec::new();
    for (at, ((&l, wanted), mode)) in lines.iter().zip(wanted).zip(modes).enumerate() {
        let Some(line) = case.lines.get(l) else { continue };
        let mut outcome = Outcome { amount: line.base, uses: Vec::new() };
        let on = match *mode {
            Mode::Only(o) => vec![o],
            Mode::Stack(mask) => switched_on(case, wanted, mask),
        };
        for o in on {
            match case.pool.get(o).map(|offer| &offer.terms) {
                Some(Terms::BundlePrice { .. }) => bundles.push((o, at)),
                Some(Terms::BuyXGetY { .. }) => free.push((o, at)),
                Some(terms) => {
                    let amount = cut(terms, line, outcome.amount).unwrap_or(outcome.amount);
                    outcome.pay(o, 1, amount);
                }
                None => {}
            }
        }
        outcomes.push(outcome);
    }
    bundles.sort_unstable();
    for group in bundles.chunk_by(|a, b| a.0 == b.0) {
        let Some(&(o, _)) = group.first() else { continue };
        let members: Vec<usize> = group.iter().filter_map(|&(_, at)| lines.get(at).copied()).collect();
        let Some((made, savings)) = case.bundle(o, &members) else { continue };
        for (l, saving) in savings {
            let at = group.iter().find(|&&(_, at)| lines.get(at) == Some(&l)).map(|&(_, at)| at);
            if let Some(outcome) = at.and_then(|at| outcomes.get_mut(at)) {
                let amount = (outcome.amount - saving).max(Decimal::ZERO);
                outcome.pay(o, made, amount);
            }
        }
    }
    free.sort_unstable();
    for group in free.chunk_by(|a, b| a.0 == b.0) {
        give(case, lines, wanted, group, &mut outcomes);
    }
    outcomes
}

/// Hands out the uses of one `BuyXGetY`: where the stack's priority is highest first, then where the free goods are worth most.
fn give(case: &Case<'_>, lines: &[usize], wanted: &[&Wanted], group: &[(usize, usize)], outcomes: &mut [Outcome]) {
    let Some(offer) = group.first().and_then(|&(o, _)| case.pool.get(o)) else { return };
    let Terms::BuyXGetY { buy, get, get_products } = &offer.terms else { return };
    let mut claims: Vec<_> = group
        .iter()
        .filter_map(|&(o, at)| {
            let line = case.lines.get(*lines.get(at)?)?;
            let level = if offer.stackable { wanted.get(at)?.level } else { offer.priority };
            Some((o, at, level, fits(line.quantity, *buy), case.free_goods(line, *get, get_products)))
        })
        .collect();
    claims.sort_by(|a, b| b.2.cmp(&a.2).then(b.4.2.cmp(&a.4.2)).then(a.1.cmp(&b.1)));
    let mut left = limit(offer);
    for (o, at, _, earned, (product, units, worth)) in claims {
        let given = earned.min(left);
        left -= given;
        if given > 0
            && let Some(outcome) = outcomes.get_mut(at)
        {
            let given_units = times(units, Decimal::from(given));
            outcome.uses.push(Use {
                offer: o,
                times: given,
                saving: times(worth, Decimal::from(given)),
                gift: Some((product, given_units)),
            });
        }
    }
}
