//! The best lawful choice of offers for the lines of a cart.
//!
//! Lines that share no bundle and no offer with too few uses are decided alone. Those that do are searched together, depth first
//! with a bound; the first leaf is the greedy choice (largest saving first), so that a search that is cut short is never worse.

use rust_decimal::Decimal;

use super::case::{Case, limit};
use super::combine::{Mode, Outcome, Wanted, combine};
use super::terms::Terms;

/// Work that the search of one group of connected lines may do before the best so far is taken: a branch costs 1, a whole choice tried 1
/// per line. A few milliseconds.
const WORK: usize = 4_096;
/// Scarce stackable offers on one line of which every subset is tried; further ones are left out.
const SCARCE: usize = 4;

/// One outcome per line of the case.
pub(super) fn choose(case: &Case<'_>) -> Vec<Outcome> {
    let mut chosen: Vec<Outcome> =
        case.lines.iter().map(|line| Outcome { amount: line.base, uses: Vec::new() }).collect();
    let (wanted, groups, scarce) = survey(case);
    for group in groups {
        let outcomes = match (group.as_slice(), group.first().and_then(|&l| wanted.get(l))) {
            (&[l], Some(line)) if line.scarce.is_empty() => simple(case, l, line),
            _ => Search::new(case, &wanted, &scarce, group.clone()).run(),
        };
        for (l, outcome) in group.into_iter().zip(outcomes) {
            if let Some(slot) = chosen.get_mut(l) {
                *slot = outcome;
            }
        }
    }
    chosen
}

/// The choice for a line that shares nothing with others: each offer that stands alone against the stack.
fn simple(case: &Case<'_>, l: usize, wanted: &Wanted) -> Vec<Outcome> {
    let alone =
        wanted.exclusive.iter().map(|&o| (case.pool.get(o).map_or(0, |offer| offer.priority), o, Mode::Only(o)));
    let stack = wanted.stack.first().map(|&o| (wanted.level, o, Mode::Stack(0)));
    let mut best = None;
    for (priority, o, mode) in alone.chain(stack) {
        let outcomes = combine(case, &[l], &[wanted], &[mode]);
        let saving: Decimal = outcomes.iter().map(Outcome::saving).sum();
        let rank = (!saving.is_zero(), priority, saving, std::cmp::Reverse(o));
        if best.as_ref().is_none_or(|(most, _)| rank > *most) {
            best = Some((rank, outcomes));
        }
    }
    best.map(|(_, outcomes)| outcomes).unwrap_or_default()
}

/// Per line the offers with an effect; the groups of connected lines; which offers are scarce single-use ones.
fn survey(case: &Case<'_>) -> (Vec<Wanted>, Vec<Vec<usize>>, Vec<bool>) {
    let mut wanted = vec![Wanted { level: i64::MIN, ..Wanted::default() }; case.lines.len()];
    let mut parent: Vec<usize> = (0..case.lines.len()).collect();
    let mut scarce = vec![false; case.pool.len()];
    // Per line the best exclusive offer that bears on nothing else: (priority, saving, offer).
    let mut best: Vec<Option<(i64, Decimal, usize)>> = vec![None; case.lines.len()];
    for (o, (offer, about)) in case.pool.iter().zip(&case.about).enumerate() {
        if !case.is_line_offer(o) {
            continue;
        }
        let bundle = matches!(offer.terms, Terms::BundlePrice { .. });
        let effects: Vec<(usize, u64, Decimal)> = if bundle {
            // A line whose units are not needed now may be once another line is taken by another offer.
            if case.bundle(o, about).is_some() {
                about.iter().map(|&l| (l, 1, Decimal::ZERO)).collect()
            } else {
                Vec::new()
            }
        } else {
            about.iter().filter_map(|&l| case.alone(o, l).map(|(uses, saving)| (l, uses, saving))).collect()
        };
        let uses = effects.iter().map(|effect| effect.1).fold(0, u64::saturating_add);
        let joins = bundle || uses > limit(offer);
        let single = !bundle && !matches!(offer.terms, Terms::BuyXGetY { .. });
        if let Some(flag) = scarce.get_mut(o) {
            *flag = joins && single;
        }
        if joins {
            for pair in effects.windows(2) {
                if let [a, b] = pair {
                    union(&mut parent, a.0, b.0);
                }
            }
        }
        for (l, _, saving) in effects {
            let Some(line) = wanted.get_mut(l) else { continue };
            if offer.stackable {
                line.level = line.level.max(offer.priority);
                if joins && single { line.scarce.push(o) } else { line.stack.push(o) }
            } else if joins {
                line.exclusive.push(o);
            } else if let Some(slot) = best.get_mut(l)
                && slot.is_none_or(|(priority, most, _)| (offer.priority, saving) > (priority, most))
            {
                *slot = Some((offer.priority, saving, o));
            }
        }
    }
    for (line, best) in wanted.iter_mut().zip(best) {
        line.exclusive.extend(best.map(|best| best.2));
        line.scarce.truncate(SCARCE);
    }
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); case.lines.len()];
    for (l, line) in wanted.iter().enumerate() {
        if !(line.exclusive.is_empty() && line.stack.is_empty() && line.scarce.is_empty()) {
            let root = find(&mut parent, l);
            if let Some(group) = groups.get_mut(root) {
                group.push(l);
            }
        }
    }
    groups.retain(|group| !group.is_empty());
    (wanted, groups, scarce)
}

fn find(parent: &mut [usize], mut at: usize) -> usize {
    while let Some(&up) = parent.get(at)
        && up != at
    {
        at = up;
    }
    at
}

fn union(parent: &mut [usize], a: usize, b: usize) {
    let (a, b) = (find(parent, a), find(parent, b));
    if let Some(slot) = parent.get_mut(a.max(b)) {
        *slot = a.min(b);
    }
}

/// A possible mode of a line with the most that it can save, and at which level of priority.
#[derive(Clone, Copy)]
struct Choice {
    mode: Mode,
    level: usize,
    most: Decimal,
}

struct Search<'s, 'a> {
    case: &'s Case<'a>,
    scarce: &'s [bool],
    lines: Vec<usize>,
    wanted: Vec<&'s Wanted>,
    /// Priorities, highest first.
    levels: Vec<i64>,
    options: Vec<Vec<Choice>>,
    /// Order in which lines are decided.
    order: Vec<usize>,
    /// What lines from this depth on can save at most, per level.
    rest: Vec<Vec<Decimal>>,
    used: Vec<u64>,
    modes: Vec<Mode>,
    best: Option<(Vec<Decimal>, Vec<Outcome>)>,
    work: usize,
}

impl<'s, 'a> Search<'s, 'a> {
    fn new(case: &'s Case<'a>, all: &'s [Wanted], scarce: &'s [bool], lines: Vec<usize>) -> Self {
        let wanted: Vec<&Wanted> = lines.iter().filter_map(|&l| all.get(l)).collect();
        let priority = |o: &usize| case.pool.get(*o).map_or(0, |offer| offer.priority);
        let mut levels: Vec<i64> =
            wanted.iter().flat_map(|line| line.exclusive.iter().map(priority).chain([line.level])).collect();
        levels.sort_unstable_by(|a, b| b.cmp(a));
        levels.dedup();
        let mut search = Self {
            case,
            scarce,
            wanted,
            options: Vec::with_capacity(lines.len()),
            order: (0..lines.len()).collect(),
            rest: Vec::new(),
            used: vec![0; case.pool.len()],
            modes: vec![Mode::Stack(0); lines.len()],
            best: None,
            work: 0,
            lines,
            levels,
        };
        search.options = (0..search.lines.len()).map(|at| search.options_of(at)).collect();
        let options = &search.options;
        let first = |at: usize| options.get(at).and_then(|o| o.first()).map(|o| (o.level, std::cmp::Reverse(o.most)));
        search.order.sort_by_key(|&at| (first(at), at));
        let mut rest = vec![vec![Decimal::ZERO; search.levels.len()]];
        for &at in search.order.iter().rev() {
            let mut sum = rest.last().cloned().unwrap_or_default();
            // The first option is the best by level and saving, so that the sum bounds every choice.
            if let Some(option) =
                search.options.get(at).and_then(|o| o.iter().min_by_key(|o| (o.most.is_zero(), o.level)))
                && let Some(slot) = sum.get_mut(option.level)
            {
                *slot += option.most;
            }
            rest.push(sum);
        }
        rest.reverse();
        search.rest = rest;
        search
    }

    fn level(&self, priority: i64) -> usize {
        self.levels.iter().position(|&level| level == priority).unwrap_or(self.levels.len())
    }

    /// The modes of a line: higher priority first, then the larger saving, then the smaller id.
    fn options_of(&self, at: usize) -> Vec<Choice> {
        let (Some(&l), Some(&wanted)) = (self.lines.get(at), self.wanted.get(at)) else { return Vec::new() };
        let base = self.case.lines.get(l).map_or(Decimal::ZERO, |line| line.base);
        let mut options: Vec<(usize, Choice)> = Vec::new();
        for &o in &wanted.exclusive {
            let most = self.case.alone(o, l).map_or(base, |(_, saving)| saving);
            let level = self.case.pool.get(o).map_or(0, |offer| offer.priority);
            options.push((o, Choice { mode: Mode::Only(o), level: self.level(level), most }));
        }
        let bundled = wanted
            .stack
            .iter()
            .any(|&o| matches!(self.case.pool.get(o).map(|x| &x.terms), Some(Terms::BundlePrice { .. })));
        let id = wanted.stack.iter().chain(&wanted.scarce).copied().min().unwrap_or(usize::MAX);
        for mask in 0..1u32 << wanted.scarce.len() {
            let alone = combine(self.case, &[l], &[wanted], &[Mode::Stack(mask)]);
            let mut most: Decimal = alone.iter().map(Outcome::saving).sum();
            if bundled {
                // At most the whole line, and what is free on top.
                most += alone.iter().map(|outcome| outcome.amount).sum::<Decimal>();
            }
            options.push((id, Choice { mode: Mode::Stack(mask), level: self.level(wanted.level), most }));
        }
        options.sort_by(|(a_id, a), (b_id, b)| {
            (a.most.is_zero(), a.level).cmp(&(b.most.is_zero(), b.level)).then(b.most.cmp(&a.most)).then(a_id.cmp(b_id))
        });
        options.into_iter().map(|(_, option)| option).collect()
    }

    fn run(mut self) -> Vec<Outcome> {
        self.descend(0, &vec![Decimal::ZERO; self.levels.len()]);
        self.best.map(|(_, outcomes)| outcomes).unwrap_or_default()
    }

    /// The scarce offers that a mode uses once.
    fn scarce_of(&self, at: usize, mode: Mode) -> Vec<usize> {
        match mode {
            Mode::Only(o) => self.scarce.get(o).copied().unwrap_or(false).then_some(o).into_iter().collect(),
            Mode::Stack(mask) => self.wanted.get(at).map_or_else(Vec::new, |line| {
                line.scarce.iter().enumerate().filter(|&(bit, _)| mask >> bit & 1 == 1).map(|(_, &o)| o).collect()
            }),
        }
    }

    fn descend(&mut self, depth: usize, so_far: &[Decimal]) {
        if let (Some((best, _)), Some(rest)) = (&self.best, self.rest.get(depth)) {
            let bound: Vec<Decimal> = so_far.iter().zip(rest).map(|(a, b)| a + b).collect();
            if bound <= *best || self.work >= WORK {
                return;
            }
        }
        self.work += 1;
        let Some(&at) = self.order.get(depth) else { return self.leaf() };
        for option in self.options.get(at).cloned().unwrap_or_default() {
            let uses = self.scarce_of(at, option.mode);
            let free = |o: &usize| {
                let most = self.case.pool.get(*o).map_or(0, |offer| limit(offer));
                self.used.get(*o).is_some_and(|&used| used < most)
            };
            if !uses.iter().all(free) {
                continue;
            }
            self.count(&uses, 1);
            if let Some(mode) = self.modes.get_mut(at) {
                *mode = option.mode;
            }
            let mut next = so_far.to_vec();
            if let Some(slot) = next.get_mut(option.level) {
                *slot += option.most;
            }
            self.descend(depth + 1, &next);
            self.count(&uses, -1);
        }
    }

    fn count(&mut self, offers: &[usize], by: i64) {
        for &o in offers {
            if let Some(used) = self.used.get_mut(o) {
                *used = used.saturating_add_signed(by);
            }
        }
    }

    fn leaf(&mut self) {
        self.work += self.lines.len();
        let outcomes = combine(self.case, &self.lines, &self.wanted, &self.modes);
        let mut value = vec![Decimal::ZERO; self.levels.len()];
        for ((outcome, mode), wanted) in outcomes.iter().zip(&self.modes).zip(&self.wanted) {
            let level = match *mode {
                Mode::Only(o) => self.case.pool.get(o).map_or(0, |offer| offer.priority),
                Mode::Stack(_) => wanted.level,
            };
            let level = self.level(level);
            if let Some(slot) = value.get_mut(level) {
                *slot += outcome.saving();
            }
        }
        if self.best.as_ref().is_none_or(|(best, _)| value > *best) {
            self.best = Some((value, outcomes));
        }
    }
}
