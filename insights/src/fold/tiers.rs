//! One thing counted by ten seconds, minute, hour and day, each kept for a while of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grain {
    TenSeconds,
    Minute,
    Hour,
    Day,
}

impl Grain {
    pub const ALL: [Self; 4] = [Self::TenSeconds, Self::Minute, Self::Hour, Self::Day];

    pub fn seconds(self) -> i64 {
        match self {
            Self::TenSeconds => 10,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// How long it is kept, by the log's clock.
    pub fn kept_s(self) -> i64 {
        match self {
            Self::TenSeconds => 1_800,
            Self::Minute => 6 * 3_600,
            Self::Hour => 35 * 86_400,
            Self::Day => 400 * 86_400,
        }
    }

    /// Lists that a cell samples.
    pub fn sampled(self) -> usize {
        match self {
            Self::TenSeconds => 32,
            Self::Minute => 64,
            Self::Hour => 128,
            Self::Day => 256,
        }
    }

    /// The start of the stretch that a moment lies in.
    pub fn start(self, at_s: i64) -> i64 {
        at_s.div_euclid(self.seconds()) * self.seconds()
    }

    /// The finest that still has what happened at `at_s`.
    pub fn for_time(at_s: i64, clock_s: i64) -> Self {
        let has = |grain: &Self| at_s >= grain.start(clock_s - grain.kept_s());
        Self::ALL.into_iter().find(has).unwrap_or(Self::Day)
    }
}

/// Cells of one tier at most; then its oldest stretch goes.
const MAX_CELLS: usize = 60_000;

/// Cells by start and slice.
pub type Stretches<T> = BTreeMap<i64, BTreeMap<u16, T>>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tiers<T> {
    moments: Stretches<T>,
    minutes: Stretches<T>,
    hours: Stretches<T>,
    days: Stretches<T>,
    /// Cells in each.
    cells: [usize; 4],
    /// Stretches that went before their time.
    pub evicted: u64,
    /// What came so late that even its day was gone.
    pub too_old: u64,
}

impl<T> Default for Tiers<T> {
    fn default() -> Self {
        Self {
            moments: BTreeMap::new(),
            minutes: BTreeMap::new(),
            hours: BTreeMap::new(),
            days: BTreeMap::new(),
            cells: [0; 4],
            evicted: 0,
            too_old: 0,
        }
    }
}

impl<T: Default> Tiers<T> {
    fn tier_mut(&mut self, grain: Grain) -> (&mut Stretches<T>, &mut usize) {
        let [moments, minutes, hours, days] = &mut self.cells;
        match grain {
            Grain::TenSeconds => (&mut self.moments, moments),
            Grain::Minute => (&mut self.minutes, minutes),
            Grain::Hour => (&mut self.hours, hours),
            Grain::Day => (&mut self.days, days),
        }
    }

    pub fn tier(&self, grain: Grain) -> &Stretches<T> {
        match grain {
            Grain::TenSeconds => &self.moments,
            Grain::Minute => &self.minutes,
            Grain::Hour => &self.hours,
            Grain::Day => &self.days,
        }
    }

    /// Changes the cells of a moment, where they are still kept. `make`: also a cell that is not there yet.
    pub fn change(&mut self, at_s: i64, slice: u16, clock_s: i64, make: bool, change: impl Fn(Grain, &mut T)) {
        for grain in Grain::ALL {
            let start = grain.start(at_s);
            if start < grain.start(clock_s - grain.kept_s()) {
                self.too_old += u64::from(grain == Grain::Day && make);
                continue;
            }
            let (tier, cells) = self.tier_mut(grain);
            if make {
                let stretch = tier.entry(start).or_default();
                let cell = stretch.entry(slice).or_insert_with(|| {
                    *cells += 1;
                    T::default()
                });
                change(grain, cell);
                if *cells > MAX_CELLS
                    && let Some((_, gone)) = tier.pop_first()
                {
                    *cells -= gone.len();
                    self.evicted += 1;
                }
            } else if let Some(cell) = tier.get_mut(&start).and_then(|stretch| stretch.get_mut(&slice)) {
                change(grain, cell);
            }
        }
    }

    /// Forgets what is older than it is kept.
    pub fn prune(&mut self, clock_s: i64) {
        for grain in Grain::ALL {
            let oldest = grain.start(clock_s - grain.kept_s());
            let (tier, cells) = self.tier_mut(grain);
            while tier.first_key_value().is_some_and(|(start, _)| *start < oldest) {
                *cells -= tier.pop_first().map_or(0, |(_, gone)| gone.len());
            }
        }
    }

    /// Cells of `grain` whose stretch starts in `[from_s, to_s)`, the first one also when it started before and reaches into it.
    pub fn between(&self, grain: Grain, from_s: i64, to_s: i64) -> impl Iterator<Item = (i64, u16, &T)> {
        let from = grain.start(from_s);
        let stretches = (from < to_s).then(|| self.tier(grain).range(from..to_s));
        stretches
            .into_iter()
            .flatten()
            .flat_map(|(start, cells)| cells.iter().map(|(slice, cell)| (*start, *slice, cell)))
    }

    pub fn len(&self) -> usize {
        self.cells.iter().sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
