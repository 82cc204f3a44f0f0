//! What this machine gives a training: threads, memory, CPU features.

/// Threads that the process may use: its CPU affinity and cgroup quota (version 2, then 1), at least 1.
pub fn threads() -> usize {
    // The standard library reads affinity and cgroup quotas on Linux, rounding a quota down.
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

fn status_bytes(key: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Peak resident memory so far; none where the system does not say.
pub fn peak_bytes() -> Option<u64> {
    status_bytes("VmHWM:")
}

/// Resident memory now.
pub fn resident_bytes() -> Option<u64> {
    status_bytes("VmRSS:")
}

/// The CPU feature level that numbers depend on: exponentials of the C library use fused multiply-add where there is one, which
/// changes last bits.
pub fn cpu_level() -> String {
    #[cfg(target_arch = "x86_64")]
    let fused = std::arch::is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    let fused = cfg!(target_arch = "aarch64");
    format!("{}{}", std::env::consts::ARCH, if fused { "+fma" } else { "" })
}
