//! Nelder and Mead's simplex search (Computer Journal 7(4), 1965) for a minimum of a few variables.

/// Rounds at most, and the relative spread of the simplex's values that is flat enough.
const ROUNDS: usize = 2000;
const FLAT: f64 = 1e-10;

/// The lowest point found from `start` on, and its value. What is not finite is never taken.
pub fn minimum(start: &[f64], step: f64, value: impl Fn(&[f64]) -> f64) -> (Vec<f64>, f64) {
    let judged = |point: Vec<f64>| {
        let found = value(&point);
        (point, if found.is_finite() { found } else { f64::MAX })
    };
    let mut simplex = vec![judged(start.to_vec())];
    for at in 0..start.len() {
        let moved = start.iter().enumerate().map(|(place, value)| if place == at { value + step } else { *value });
        simplex.push(judged(moved.collect()));
    }
    for _ in 0..ROUNDS {
        simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (Some(best), Some(worst)) = (simplex.first().map(|one| one.1), simplex.last().cloned()) else { break };
        if worst.1 - best <= FLAT * (best.abs() + FLAT) {
            break;
        }
        let others = simplex.len() - 1;
        let centre: Vec<f64> = (0..start.len())
            .map(|at| simplex.iter().take(others).filter_map(|one| one.0.get(at)).sum::<f64>() / others as f64)
            .collect();
        let along = |far: f64| judged(centre.iter().zip(&worst.0).map(|(c, w)| c + far * (c - w)).collect());
        let second_worst = simplex.get(others - 1).map_or(f64::MAX, |one| one.1);
        let reflected = along(1.0);
        let better = if reflected.1 < best {
            let expanded = along(2.0);
            Some(if expanded.1 < reflected.1 { expanded } else { reflected })
        } else if reflected.1 < second_worst {
            Some(reflected)
        } else {
            let is_outside = reflected.1 < worst.1;
            let contracted = along(if is_outside { 0.5 } else { -0.5 });
            (contracted.1 < if is_outside { reflected.1 } else { worst.1 }).then_some(contracted)
        };
        match (better, simplex.first().map(|one| one.0.clone())) {
            (Some(better), _) => {
                simplex.pop();
                simplex.push(better);
            }
            (None, Some(best)) => {
                for point in simplex.iter_mut().skip(1) {
                    let shrunk = best.iter().zip(&point.0).map(|(b, p)| b + 0.5 * (p - b)).collect();
                    *point = judged(shrunk);
                }
            }
            (None, None) => break,
        }
    }
    simplex.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn rosenbrocks_valley_is_followed_to_its_end() {
        let (found, value) =
            minimum(&[-1.2, 1.0], 0.5, |x| (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2));
        assert!((found[0] - 1.0).abs() < 1e-3 && (found[1] - 1.0).abs() < 1e-3 && value < 1e-6, "{found:?}");
    }

    #[test]
    fn a_hole_without_a_value_is_walked_around() {
        let (found, _) = minimum(&[3.0], 0.5, |x| if x[0] < 1.0 { f64::NAN } else { (x[0] - 1.5).powi(2) });
        assert!((found[0] - 1.5).abs() < 1e-4);
    }
}
