//! The statistics on simulated users. The long runs are ignored here and run by `make soak`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use endcap_insights::fold::{GROUPS, ListShown, key};
use endcap_insights::stats::{
    Moments, compare, grouped_mean, grouped_ratio, ks, list_figures, psi, psi_p, sample_ratio_p,
};
use endcap_recommender::profile::Histogram;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, LogNormal, Poisson};

/// A user: many have a list or two, some have a hundred; who clicks much does so on all their lists.
fn user(random: &mut impl Rng, effect: f64) -> (f64, f64) {
    let activity: f64 = Gamma::new(0.7, 6.0).unwrap().sample(random);
    let lists = 1.0 + Poisson::new(activity.max(1e-9)).unwrap().sample(random);
    let taste: f64 = Gamma::new(2.0, 0.05).unwrap().sample(random);
    let clicked = (0..lists as u32).filter(|_| random.random_bool((taste * effect).min(0.9))).count();
    (clicked as f64, lists)
}

fn arm(random: &mut impl Rng, users: u32, effect: f64) -> Moments {
    let mut moments = Moments::default();
    for _ in 0..users {
        let (clicked, lists) = user(random, effect);
        moments.add(clicked, lists);
    }
    moments
}

/// Money by user: most spend nothing, the rest log-normal.
fn spenders(random: &mut impl Rng, users: u32) -> Moments {
    let money = LogNormal::new(3.0, 1.0).unwrap();
    let mut moments = Moments::default();
    for _ in 0..users {
        moments.add(if random.random_bool(0.2) { money.sample(random) } else { 0.0 }, 1.0);
    }
    moments
}

/// A rate that must not exceed `rate` by more than half a point: three standard errors of the simulation are allowed on top.
fn at_most(found: usize, runs: u32, rate: f64, what: &str) {
    let share = found as f64 / f64::from(runs);
    let slack = 3.0 * (rate * (1.0 - rate) / f64::from(runs)).sqrt();
    println!(
        "{what}: {found} of {runs} ({:.3} %), at most {:.3} % + {:.3} %",
        share * 100.0,
        rate * 100.0,
        slack * 100.0
    );
    assert!(share <= rate + slack, "{what}: {share}");
}

fn same_arms_rarely_differ(runs: u32, users: u32) {
    let mut random = ChaCha8Rng::seed_from_u64(17);
    let (mut ctr, mut revenue) = (0, 0);
    for _ in 0..runs {
        let p = compare(&arm(&mut random, users, 1.0), &arm(&mut random, users, 1.0)).unwrap().p_value;
        ctr += usize::from(p < 0.05);
        let p = compare(&spenders(&mut random, users), &spenders(&mut random, users)).unwrap().p_value;
        revenue += usize::from(p < 0.05);
    }
    at_most(ctr, runs, 0.055, "A/A, Ctr by user, p < 0.05");
    at_most(revenue, runs, 0.055, "A/A, RevenuePerUser, p < 0.05");
}

#[test]
fn same_arms_differ_as_often_as_alpha_says() {
    same_arms_rarely_differ(1_000, 400);
}

#[test]
#[ignore = "minutes: run by make soak"]
fn same_arms_differ_as_often_as_alpha_says_in_10_000_runs() {
    same_arms_rarely_differ(10_000, 1_000);
}

#[test]
fn requests_as_units_would_cry_wolf() {
    // What the analysis by user is for: the same data as if every list were a user of its own.
    let mut random = ChaCha8Rng::seed_from_u64(18);
    let mut alarms = 0;
    for _ in 0..300 {
        let mut arms = [Moments::default(), Moments::default()];
        for moments in &mut arms {
            for _ in 0..400 {
                let (clicked, lists) = user(&mut random, 1.0);
                (0..lists as u32).for_each(|list| moments.add(f64::from(u8::from(f64::from(list) < clicked)), 1.0));
            }
        }
        let [a, b] = &arms;
        alarms += usize::from(compare(a, b).unwrap().p_value < 0.05);
    }
    assert!(alarms > 25, "{alarms} of 300: heavy users should make it more than 8 %");
}

#[test]
fn a_real_effect_is_found_and_its_size_is_right() {
    let mut random = ChaCha8Rng::seed_from_u64(19);
    let (mut found, mut covered) = (0, 0);
    for _ in 0..100 {
        let comparison = compare(&arm(&mut random, 4_000, 1.15), &arm(&mut random, 4_000, 1.0)).unwrap();
        let lift = comparison.lift.unwrap();
        found += usize::from(comparison.p_value < 0.05 && lift.value > 0.0);
        covered += usize::from((lift.value - 0.15).abs() < 1.96 * lift.se);
    }
    assert!(found >= 85, "{found}");
    // Cutting at 0.9 takes a hair off the effect.
    assert!(covered >= 88, "{covered}");
}

/// What arms are compared with (sums by group of users) agrees with the analysis by user, which knows every one of them.
#[test]
fn errors_by_group_are_errors_by_user() {
    let mut random = ChaCha8Rng::seed_from_u64(23);
    let (mut by_user, mut by_group, mut mean_by_user, mut mean_by_group) = (0.0, 0.0, 0.0, 0.0);
    for _ in 0..200 {
        let (mut moments, mut means) = (Moments::default(), Moments::default());
        let mut groups = vec![(0.0, 0.0); GROUPS as usize];
        for number in 0..2_000_u32 {
            let (clicked, lists) = user(&mut random, 1.0);
            moments.add(clicked, lists);
            means.add(clicked, 1.0);
            let group = groups.get_mut((key("customer", &number.to_string()) % GROUPS) as usize).unwrap();
            *group = (group.0 + clicked, group.1 + lists);
        }
        let ratio = grouped_ratio(groups.iter().copied()).unwrap();
        let own = moments.ratio().unwrap();
        assert!((ratio.value - own.value).abs() < 1e-12);
        by_user += own.se * own.se;
        by_group += ratio.se * ratio.se;
        mean_by_user += means.ratio().unwrap().se.powi(2);
        mean_by_group += grouped_mean(groups.iter().map(|group| group.0), 2_000.0).unwrap().se.powi(2);
    }
    let (ratio, mean) = (by_group / by_user, mean_by_group / mean_by_user);
    println!("variance by group over variance by user: ratio {ratio:.3}, mean {mean:.3}");
    assert!((ratio - 1.0).abs() < 0.08, "{ratio}");
    // The mean's is a little too large: group sizes count as drawn.
    assert!((0.95..1.6).contains(&mean), "{mean}");
}

/// A small arm that shows the same lists as a large one has the same coverage and diversity, because both are cut to one number of lists.
#[test]
fn a_small_canary_is_not_blamed_for_being_small() {
    let mut random = ChaCha8Rng::seed_from_u64(24);
    let mut shows = |lists: u64| {
        let mut sample = endcap_insights::fold::Sample::default();
        for list in 0..lists {
            let products = (0..8).map(|_| (random.random::<f64>().powi(2) * 500.0) as u32).collect();
            sample.add(key("request", &format!("{lists}-{list}")), ListShown { unit: list / 3, products }, 256);
        }
        sample
    };
    let (large, small) = (shows(20_000), shows(150));
    let compared = large.len().min(small.len());
    assert_eq!((large.len(), compared), (256, 150));
    let figures = |sample: &endcap_insights::fold::Sample| list_figures(&sample.first(compared)).unwrap();
    let (large, small) = (figures(&large), figures(&small));
    for (a, b) in [(large.distinct, small.distinct), (large.diversity, small.diversity)] {
        let error = (a.se * a.se + b.se * b.se).sqrt();
        assert!(error > 0.0 && (a.value - b.value).abs() < 4.0 * error, "{a:?} {b:?}");
    }
}

fn shares(random: &mut impl Rng, users: u32, lost: f64) -> f64 {
    let mut arms = [0_u64; 2];
    for _ in 0..users {
        let to_second = random.random_bool(0.5);
        if !to_second || !random.random_bool(lost) {
            arms[usize::from(to_second)] += 1;
        }
    }
    sample_ratio_p(&arms, &[5_000.0, 5_000.0]).unwrap()
}

fn uneven_shares_are_noticed(runs: u32, users: u32) {
    let mut random = ChaCha8Rng::seed_from_u64(20);
    let alarms = (0..runs).filter(|_| shares(&mut random, users, 0.0) < 0.001).count();
    at_most(alarms, runs, 0.001, "sample ratio alarms on fair arms, p < 0.001");
    let caught = (0..20).filter(|_| shares(&mut random, 200_000, 0.02) < 0.001).count();
    println!("a loss of 2 % on one arm at 100,000 users an arm: caught {caught} of 20");
    // Expected p is about 1e-5: one in ten misses 0.001.
    assert!(caught >= 14, "{caught}");
}

#[test]
fn lost_users_are_noticed_and_fair_arms_are_not() {
    uneven_shares_are_noticed(2_000, 2_000);
}

#[test]
#[ignore = "minutes: run by make soak"]
fn lost_users_are_noticed_and_fair_arms_are_not_in_10_000_runs() {
    uneven_shares_are_noticed(10_000, 20_000);
}

fn profile(random: &mut impl Rng, values: u32, shift: f64) -> Histogram {
    let prices = LogNormal::new(1.0 + shift, 0.8).unwrap();
    let mut histogram = Histogram::default();
    (0..values).for_each(|_| histogram.add(prices.sample(random)));
    histogram
}

/// PSI of clean data is as large as theory says: its p-value is below 0.1 % in about 0.1 % of the cases.
fn clean_data_has_small_psi(features: u32, runs: u32) {
    let mut random = ChaCha8Rng::seed_from_u64(21);
    let (mut alarms, mut sum) = (0, 0.0);
    for _ in 0..features {
        let reference = profile(&mut random, 100_000, 0.0);
        let cuts = reference.cuts(10);
        let was = reference.binned(&cuts);
        assert_eq!(was.len(), 10);
        for _ in 0..runs {
            let current = profile(&mut random, 2_000, 0.0);
            let value = psi(&was, &current.binned(&cuts)).unwrap();
            sum += value / (1.0 / 100_000.0 + 1.0 / 2_000.0);
            alarms += usize::from(psi_p(value, 10, 100_000, 2_000).unwrap() < 0.001);
        }
    }
    // The chi-square of nine degrees of freedom has mean nine.
    let mean = sum / f64::from(features * runs);
    println!("PSI of clean data, scaled: mean {mean:.2}, chi-square says 9");
    assert!((mean - 9.0).abs() < 0.6, "{mean}");
    at_most(alarms, features * runs, 0.002, "PSI of clean data, p < 0.001");
}

#[test]
fn psi_of_clean_data_is_what_chance_makes() {
    clean_data_has_small_psi(50, 8);
}

#[test]
#[ignore = "minutes: run by make soak"]
fn psi_of_clean_data_is_what_chance_makes_in_many_windows() {
    clean_data_has_small_psi(50, 200);
}

#[test]
fn a_shift_is_as_large_as_it_is() {
    let mut random = ChaCha8Rng::seed_from_u64(22);
    let reference = profile(&mut random, 100_000, 0.0);
    let cuts = reference.cuts(10);
    // Half a standard deviation: PSI of the normal distributions is 0.25 before binning, KS 2 Phi(0.25) - 1 = 0.197.
    let current = profile(&mut random, 50_000, 0.4);
    let value = psi(&reference.binned(&cuts), &current.binned(&cuts)).unwrap();
    assert!((0.21..0.26).contains(&value), "{value}");
    let places: Vec<i32> = (-600..=600).collect();
    let distance = ks(&reference.binned(&places), &current.binned(&places)).unwrap();
    assert!((distance - 0.197).abs() < 0.012, "{distance}");
}
