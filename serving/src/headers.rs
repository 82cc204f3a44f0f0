//! Headers of the data plane, and what a client may not send.

use http::HeaderName;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-endcap-request-id");
pub const VERSION: HeaderName = HeaderName::from_static("x-endcap-version");
pub const ARM: HeaderName = HeaderName::from_static("x-endcap-arm");
pub const EXPERIMENT: HeaderName = HeaderName::from_static("x-endcap-experiment");
/// `1` when another rung than the arm answered.
pub const FALLBACK: HeaderName = HeaderName::from_static("x-endcap-fallback");
/// How many milliseconds the asker still waits.
pub const DEADLINE: HeaderName = HeaderName::from_static("x-endcap-deadline-ms");
/// SHA-256 of the policy to answer under.
pub const POLICY: HeaderName = HeaderName::from_static("x-endcap-policy");
