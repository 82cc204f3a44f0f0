//! Statistics, pure: from sums to figures with their uncertainty. Sources stand with each method.

mod compare;
mod distance;
mod lists;
mod moments;

pub use compare::{Comparison, compare, quantile_of_normal, required_sample, sample_ratio_p};
pub use distance::{ks, psi, psi_p};
pub use lists::{ListFigures, diversity, list_figures, top_share};
pub use moments::{Estimate, Moments, grouped_mean, grouped_ratio};
