//! Which vector instructions this machine has.

use std::sync::OnceLock;

/// Proof that the running machine has certain instructions: there is no way to make a level that was not detected, and the calls in
/// `x86.rs` rest on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Portable,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ, VL and VNNI. Machines with the first four only (the first server parts of 2017) run as `Avx2`.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// What every machine has.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The best of this machine; found once.
    #[inline]
    pub fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().last().copied().unwrap_or(Self::PORTABLE))
    }

    /// All that this machine can run, the plainest first: for tests and for comparisons.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut)] // on other machines nothing is added
        let mut levels = vec![Self::PORTABLE];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.push(Self(Kind::Avx2));
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
                {
                    levels.push(Self(Kind::Avx512));
                }
            }
        }
        levels
    }

    pub(crate) fn kind(self) -> Kind {
        self.0
    }

    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
        }
    }
}

/// `a * b + c`, rounded once where the machine has the instruction (elsewhere `f32::mul_add` would be a call of the C library).
#[allow(clippy::inline_always)] // must be compiled inside its caller, with the caller's instructions
#[inline(always)]
pub(crate) fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}
