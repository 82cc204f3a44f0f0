//! From signals to one score, and to the value that the objective ranks by.

use rust_decimal::prelude::ToPrimitive;

use super::{Facts, Situated};
use crate::candidates::{SIGNALS, Scratch, Signal};
use crate::policy::Objective;
use crate::ranking::{self, Ranked};
use crate::request::Placement;
use crate::response::Kind;

/// A candidate with its score.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scored {
    pub product: u32,
    /// How likely it is wanted, about 0 to 1.
    pub score: f32,
    /// What the list is ordered by.
    pub value: f32,
    /// Weighed signals: what each generator contributed.
    pub parts: [f32; SIGNALS],
    pub kind: Kind,
}

impl Scored {
    pub fn part(&self, signal: Signal) -> f32 {
        self.parts.get(signal as usize).copied().unwrap_or(0.0)
    }

    pub fn together(&self) -> f32 {
        [Signal::Confidence, Signal::Excess, Signal::Similar, Signal::Follows]
            .map(|signal| self.part(signal))
            .iter()
            .sum()
    }

    /// What the item is, by what speaks most for it.
    pub fn natural_kind(&self, situated: &Situated<'_>) -> Kind {
        let (personal, together) = (self.part(Signal::Personal), self.together());
        let goes_with_something = !situated.question.anchors.is_empty() && together > 0.0;
        if personal > 0.0 && (personal >= together || !goes_with_something) {
            Kind::Reorder
        } else if goes_with_something {
            Kind::CrossSell
        } else {
            Kind::Popular
        }
    }
}

/// What is left of the score of a product that the customer bought on the same day.
const JUST_BOUGHT: f32 = 0.05;

/// Ranks what `wanted` lets through; see [`ranking::rank`].
pub(crate) fn score(
    facts: &Facts<'_>,
    situated: &Situated<'_>,
    placement: Placement,
    wanted: &dyn Fn(u32) -> bool,
    scratch: &mut Scratch,
) -> Vec<Scored> {
    let factors = facts.policy.factors(placement);
    let worth = Worth::new(facts);
    ranking::rank(facts.model, &situated.question, &factors, wanted, scratch)
        .into_iter()
        .map(|Ranked { product, score, mut parts }| {
            let again = if situated.is_bought_today(product) { JUST_BOUGHT } else { 1.0 };
            for part in &mut parts {
                *part *= again;
            }
            let score = score * again;
            Scored { product, score, value: worth.of(facts, product, score), parts, kind: Kind::Popular }
        })
        .collect()
}

/// What a sale of a product is worth under the policy's objective.
struct Worth {
    objective: Objective,
}

/// Of the price, where a product's cost is not known.
const USUAL_MARGIN: f32 = 0.3;

impl Worth {
    fn new(facts: &Facts<'_>) -> Self {
        Self { objective: facts.policy.policy.objective }
    }

    fn of(&self, facts: &Facts<'_>, product: u32, score: f32) -> f32 {
        let price = || facts.shelf.price(product).and_then(|price| price.to_f32()).unwrap_or(0.0);
        match self.objective {
            // Lifetime value is not learned yet (docs/gaps.md): it ranks by probability.
            Objective::Probability | Objective::LifetimeValue => score,
            Objective::Revenue => score * price(),
            Objective::Margin => {
                let price = price();
                let cost = facts.model.catalogue.cost(product).and_then(|cost| cost.to_f32());
                score * cost.map_or(price * USUAL_MARGIN, |cost| (price - cost).max(0.0))
            }
        }
    }
}
