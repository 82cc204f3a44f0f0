//! Questions with hidden answers from the test period.

use std::collections::HashSet;

use endcap_recommender::candidates::Question;
use endcap_recommender::fitted::{Model, NONE};

use crate::load::Dataset;
use crate::tune::{Asker, CART_PRODUCTS};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[clap(rename_all = "kebab-case")]
pub enum Task {
    /// The first half of an order of 4 to 60 products is the cart, the rest is to be found
    CartCompletion,
    /// The same, only with products of subcategories that are not in the cart
    CrossSell,
    /// The first order of each known customer, nothing in the cart, nothing left out
    NextOrder,
    /// Lines just below a price break: which will be taken to it the next time
    QuantityUpsell,
}

impl Task {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CartCompletion => "cart-completion",
            Self::CrossSell => "cross-sell",
            Self::NextOrder => "next-order",
            Self::QuantityUpsell => "quantity-upsell",
        }
    }

    pub fn has_cart(self) -> bool {
        matches!(self, Self::CartCompletion | Self::CrossSell)
    }
}

/// One question of the test.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub question: Question,
    /// Products that may be recommended and were ordered.
    pub targets: Vec<u32>,
}

/// What the test period gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Test {
    pub asked: Vec<Asked>,
    pub orders: u64,
    /// Orders that no question was made of: customer not known, too few or too many products, nothing left to find.
    pub orders_left_out: u64,
    /// Targets that were never sold before the test and so cannot be ranked.
    pub unrankable_targets: u64,
}

/// Whether a product may be recommended to a question.
pub fn is_wanted(task: Task, model: &Model, question: &Question, product: u32) -> bool {
    match task {
        Task::NextOrder | Task::QuantityUpsell => true,
        Task::CartCompletion => !question.anchors.contains(&product),
        Task::CrossSell => {
            let subcategory = model.catalogue.subcategory(product);
            let same = |anchor: &u32| {
                *anchor == product || (subcategory != NONE && model.catalogue.subcategory(*anchor) == subcategory)
            };
            !question.anchors.iter().any(same)
        }
    }
}

/// The questions of the held orders, in the order of time.
pub fn test(task: Task, data: &Dataset, model: &Model) -> Test {
    let asker = Asker::new(data, model, data.sales.view());
    let held = data.held.view();
    let mut test = Test { orders: held.len() as u64, ..Test::default() };
    let mut seen: HashSet<u32> = HashSet::new();
    for (head, lines) in held.orders() {
        let products: Vec<u32> = lines.iter().map(|line| line.product).collect();
        let customer = head.customer().filter(|_| asker.knows(head));
        let fits = customer.is_some_and(|customer| match task {
            Task::NextOrder | Task::QuantityUpsell => !seen.contains(&customer),
            Task::CartCompletion | Task::CrossSell => CART_PRODUCTS.contains(&products.len()),
        });
        let (cart, rest) = products.split_at(if task.has_cart() { products.len() / 2 } else { 0 });
        let question = asker.question(head, cart);
        let wanted: Vec<u32> =
            rest.iter().copied().filter(|product| is_wanted(task, model, &question, *product)).collect();
        let targets: Vec<u32> = wanted.iter().copied().filter(|product| asker.is_sold(*product)).collect();
        if fits {
            test.unrankable_targets += (wanted.len() - targets.len()) as u64;
        }
        if !fits || targets.is_empty() {
            test.orders_left_out += 1;
            continue;
        }
        seen.extend(customer);
        test.asked.push(Asked { question, targets });
    }
    test
}
