//! Tiers that a machine may be unable to run: they are left out aloud there, and on CI they may not be.

/// Whether nothing is missing. Says what is.
///
/// # Panics
///
/// Where something is missing on CI (`CI=true`).
#[must_use]
#[allow(clippy::print_stdout, reason = "whoever runs the tests reads it")]
pub fn runs(missing: impl IntoIterator<Item = String>) -> bool {
    let missing: Vec<_> = missing.into_iter().collect();
    if missing.is_empty() {
        return true;
    }
    let missing = missing.join("; ");
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    println!("SKIPPED: {missing}");
    false
}
