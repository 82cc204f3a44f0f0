//! Placed orders in memory: columns by order, distinct products in line order.

use endcap_recommender::fitted::NONE;

/// One placed order without its lines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrderHead {
    /// Seconds since 1970, UTC.
    pub at_s: i64,
    /// Index into the customers' ids, or [`NONE`].
    pub customer: u32,
    /// Indexes into [`super::Dataset::labels`], or [`NONE`].
    pub channel: u32,
    pub city: u32,
    pub area: u32,
    pub country: u32,
    /// Months since year 0.
    pub month_number: i32,
    /// 0 to 23, UTC.
    pub hour: u8,
}

impl OrderHead {
    /// 1 to 12
    pub fn month(&self) -> i8 {
        (self.month_number.rem_euclid(12) + 1) as i8
    }

    pub fn customer(&self) -> Option<u32> {
        (self.customer != NONE).then_some(self.customer)
    }
}

/// A distinct product of an order; lines of one product are put together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    pub product: u32,
    /// Sales units.
    pub quantity: f32,
    /// What a unit cost after the line's own discount, in ten-thousandths.
    pub unit_price: i64,
    /// The price comes from an offer other than a price list, so that it says nothing of quantity breaks.
    pub offered: bool,
}

/// Orders by ascending time, then id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sales {
    pub heads: Vec<OrderHead>,
    /// One more than there are orders.
    starts: Vec<u32>,
    lines: Vec<Line>,
}

impl Sales {
    /// Orders with their lines, already in order.
    pub fn from_orders(orders: impl IntoIterator<Item = (OrderHead, Vec<Line>)>) -> Self {
        let mut sales = Self::with_room(0, 0);
        for (head, lines) in orders {
            sales.push(head, lines);
        }
        sales
    }

    /// None yet, with room for so many.
    pub fn with_room(orders: usize, lines: usize) -> Self {
        let mut starts = Vec::with_capacity(orders + 1);
        starts.push(0);
        Self { heads: Vec::with_capacity(orders), starts, lines: Vec::with_capacity(lines) }
    }

    /// Adds the next order.
    pub fn push(&mut self, head: OrderHead, lines: impl IntoIterator<Item = Line>) {
        self.heads.push(head);
        self.lines.extend(lines);
        self.starts.push(self.lines.len() as u32);
    }

    pub fn view(&self) -> View<'_> {
        View { heads: &self.heads, starts: &self.starts, lines: &self.lines }
    }
}

/// Some consecutive orders.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub heads: &'a [OrderHead],
    starts: &'a [u32],
    lines: &'a [Line],
}

impl<'a> View<'a> {
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    pub fn lines(&self, order: usize) -> &'a [Line] {
        let range = self.starts.get(order).zip(self.starts.get(order + 1));
        range.and_then(|(from, to)| self.lines.get(*from as usize..*to as usize)).unwrap_or(&[])
    }

    pub fn line_count(&self) -> u64 {
        self.starts.last().zip(self.starts.first()).map_or(0, |(last, first)| u64::from(last - first))
    }

    pub fn orders(self) -> impl Iterator<Item = (&'a OrderHead, &'a [Line])> {
        self.heads.iter().enumerate().map(move |(at, head)| (head, self.lines(at)))
    }

    /// Orders before a moment, and those from it on.
    pub fn split_at(self, at_s: i64) -> (Self, Self) {
        let cut = self.heads.partition_point(|head| head.at_s < at_s);
        let (before, after) = self.heads.split_at(cut);
        let starts_before = self.starts.get(..=cut).unwrap_or(&[0]);
        let starts_after = self.starts.get(cut..).unwrap_or(&[0]);
        (Self { heads: before, starts: starts_before, ..self }, Self { heads: after, starts: starts_after, ..self })
    }

    pub fn last_s(&self) -> i64 {
        self.heads.last().map_or(0, |head| head.at_s)
    }

    /// Orders of each customer by index, oldest first.
    pub fn by_customer(&self, customers: usize) -> Vec<Vec<u32>> {
        let mut orders = vec![Vec::new(); customers];
        for (at, head) in self.heads.iter().enumerate() {
            if let Some(list) = head.customer().and_then(|customer| orders.get_mut(customer as usize)) {
                list.push(at as u32);
            }
        }
        orders
    }
}
