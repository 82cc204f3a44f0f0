//! What came back, taken off what was bought.

use std::collections::{BTreeMap, HashMap, HashSet};

use endcap_tables::{Cancellation, Order, OrderLine, OrderStatus};
use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::collect::Refund;
use crate::tally::Tally;

/// A line that something may be taken off.
#[derive(Clone, Debug)]
struct Bought {
    order_id: String,
    line_no: i64,
    at: Timestamp,
    customer: Option<String>,
    left: Decimal,
    /// Whether the tables hold it: an old refund is netted there already.
    in_tables: bool,
}

/// What refunds are netted against.
#[derive(Debug, Default)]
pub struct Netting {
    customers: HashSet<String>,
    orders: HashSet<String>,
    products: HashSet<String>,
    /// Orders of the tables that may be meant.
    heads: HashMap<String, (Timestamp, Option<String>)>,
    bought: HashMap<String, Vec<Bought>>,
}

/// What is taken off lines, and the rows that say so.
#[derive(Debug, Default)]
pub struct Netted {
    /// By order and line.
    pub taken: BTreeMap<(String, i64), Decimal>,
    pub cancellations: Vec<Cancellation>,
}

impl Netting {
    pub fn new(refunds: &[Refund]) -> Self {
        Self {
            customers: refunds.iter().filter_map(|refund| refund.customer.clone()).collect(),
            orders: refunds.iter().filter_map(|refund| refund.order_id.clone()).collect(),
            products: refunds.iter().flat_map(|refund| &refund.pieces).map(|piece| piece.product.clone()).collect(),
            ..Self::default()
        }
    }

    /// Whether there is anything to net.
    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
    }

    fn is_wanted(&self, order: &Order) -> bool {
        order.status.eq_ignore_ascii_case(OrderStatus::Placed.as_str())
            && (self.orders.contains(&order.order_id)
                || order.customer_id.as_ref().is_some_and(|id| self.customers.contains(id)))
    }

    /// An order of the tables.
    pub fn head(&mut self, order: &Order) {
        if self.is_wanted(order) {
            self.heads.insert(order.order_id.clone(), (order.ordered_at, order.customer_id.clone()));
        }
    }

    /// A line of the tables, after all their orders.
    pub fn line(&mut self, line: &OrderLine) {
        if self.products.contains(&line.product_id)
            && let Some((at, customer)) = self.heads.get(&line.order_id)
        {
            let bought = Bought {
                order_id: line.order_id.clone(),
                line_no: line.line_no,
                at: *at,
                customer: customer.clone(),
                left: line.quantity,
                in_tables: true,
            };
            self.bought.entry(line.product_id.clone()).or_default().push(bought);
        }
    }

    /// A line of an order that comes from events.
    pub fn added(&mut self, line: &OrderLine, at: Timestamp, customer: Option<&str>) {
        if self.products.contains(&line.product_id) {
            let bought = Bought {
                order_id: line.order_id.clone(),
                line_no: line.line_no,
                at,
                customer: customer.map(str::to_owned),
                left: line.quantity,
                in_tables: false,
            };
            self.bought.entry(line.product_id.clone()).or_default().push(bought);
        }
    }

    /// Takes refunds off, in the log's order: from the order that they name, then from the customer's newest earlier ones.
    pub fn net(mut self, refunds: &[Refund], as_of: Option<Timestamp>, tally: &mut Tally) -> Netted {
        let mut netted = Netted::default();
        for lines in self.bought.values_mut() {
            lines.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| (&a.order_id, a.line_no).cmp(&(&b.order_id, b.line_no))));
        }
        for refund in refunds {
            let is_old = as_of.is_some_and(|as_of| refund.at <= as_of);
            let mut changed = false;
            let mut number = 0;
            for piece in &refund.pieces {
                let mut left = piece.quantity;
                let mut row = |off: Decimal, from: Option<&Bought>| {
                    number += 1;
                    netted.cancellations.push(Cancellation {
                        cancel_order_id: refund.event_id.clone(),
                        cancel_line_no: number,
                        product_id: piece.product.clone(),
                        order_id: from.map(|bought| bought.order_id.clone()),
                        line_no: from.map(|bought| bought.line_no),
                        quantity: off,
                        cancelled_at: refund.at,
                    });
                };
                let lines = self.bought.get_mut(&piece.product).map(Vec::as_mut_slice).unwrap_or_default();
                for by_order in [true, false] {
                    for bought in lines.iter_mut() {
                        let named = refund.order_id.as_deref() == Some(bought.order_id.as_str());
                        let owned =
                            refund.customer.is_some() && bought.customer == refund.customer && bought.at <= refund.at;
                        let fits = if by_order { named } else { owned && !named };
                        if !fits || (is_old && bought.in_tables) {
                            continue;
                        }
                        let off = left.min(bought.left);
                        if off > Decimal::ZERO {
                            bought.left -= off;
                            left -= off;
                            let key = (bought.order_id.clone(), bought.line_no);
                            *netted.taken.entry(key).or_default() += off;
                            row(off, Some(bought));
                            changed = true;
                        }
                    }
                }
                if left > Decimal::ZERO && !is_old {
                    // Nothing was found that it takes back: said all the same.
                    row(left, None);
                }
            }
            if changed {
                tally.count("refunds", 1);
            } else {
                let reason = if is_old { "older_than_the_tables" } else { "nothing_to_refund" };
                tally.reject(reason, || format!("event_id={}", refund.event_id));
            }
        }
        netted
    }
}
