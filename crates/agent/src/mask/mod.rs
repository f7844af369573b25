//! Secret values never leave the agent: they are masked before anything is mirrored, kept or sent.
//!
//! Owns the values. They are named by environment variables, by a file, and by the command itself. What is
//! shorter than [`SHORTEST`] bytes is not masked, and said so. A value is masked in the forms that
//! `encodings` lists, wherever reads cut it, and in base64 wherever lines break. Up to three characters of base64 at
//! either end of a value stay, which it shares with its neighbours, and of its first ones up to three where a line
//! breaks behind them: else lines would wait for the next one that end like a value begins by chance.
//!
//! What it costs: whatever looks like one of the forms by chance is masked as well. A value that is a word
//! vanishes wherever that word stands, also inside of others: with `test` masked, `latest` reads `la***`. In
//! random base64 the six forms of a value of four bytes, of at least four characters each, hide one place in
//! 64^4 / 6, which is one in 2.8 million characters; each byte more makes that 256 times rarer. Of a value of
//! many lines every line of at least [`SHORTEST`] bytes is masked by itself, so those that are no secret,
//! such as `-----BEGIN PRIVATE KEY-----`, vanish wherever they stand.

mod encodings;
mod masker;
mod patterns;
mod prefilter;
mod redactor;
mod secret;
mod wrapped;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use masker::Masker;
pub use secret::{Named, SHORTEST, Unmaskable, Unreadable, of_environment, of_file};

use encodings::Forms;
use patterns::Patterns;
use redactor::Redactor;
use secret::Secret;

/// States of the automaton, each some 40 bytes: several hundred usual tokens, or a dozen private keys.
const MOST_STATES: usize = 256 << 10;

/// The values that are masked, in all streams.
#[derive(Debug, Default)]
pub struct Masks {
    known: Mutex<Known>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    forms: Forms,
    /// Of all of these, once somebody looks for them: one automaton for a hundred values, not a hundred.
    patterns: Option<Arc<Patterns>>,
}

impl Clone for Masks {
    /// What is named to either from here on is not known to the other.
    fn clone(&self) -> Self {
        let mut known = self.known();
        known.patterns();
        Self { known: Mutex::new(known.clone()) }
    }
}

impl Known {
    fn patterns(&mut self) -> Arc<Patterns> {
        let forms = &self.forms;
        Arc::clone(self.patterns.get_or_insert_with(|| Arc::new(Patterns::new(forms))))
    }
}

impl Masks {
    /// Masks one more value from here on.
    pub fn add(&self, value: &[u8]) -> Result<(), Unmaskable> {
        let secret = Secret::new(value)?;
        let mut known = self.known();
        let mut forms = known.forms.clone();
        for (form, breaks) in encodings::forms(&secret) {
            let known = forms.entry(form).or_insert(breaks);
            *known = breaks.max(*known);
        }
        if forms == known.forms {
            return Ok(());
        }
        if states(&forms) > MOST_STATES {
            return Err(Unmaskable::TooMany);
        }
        *known = Known { forms, patterns: None };
        Ok(())
    }

    /// A text without secrets.
    pub fn mask(self: &Arc<Self>, text: &str) -> String {
        let mut redactor = Redactor::new(Arc::clone(self));
        let mut masked = redactor.feed(text.as_bytes()).to_vec();
        masked.extend_from_slice(redactor.finish());
        String::from_utf8_lossy(&masked).into_owned()
    }

    fn patterns(&self) -> Arc<Patterns> {
        self.known().patterns()
    }

    /// Whether these are all that there are.
    fn are(&self, patterns: &Arc<Patterns>) -> bool {
        self.known().patterns.as_ref().is_some_and(|known| Arc::ptr_eq(known, patterns))
    }

    /// What is changed under the lock is changed in one step.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an automaton of these has at the most: a form that begins another one shares all of its states.
fn states(forms: &Forms) -> usize {
    let next = forms.keys().skip(1).map(Some).chain([None]);
    let own = |(form, next): (&Vec<u8>, Option<&Vec<u8>>)| match next {
        Some(next) if next.starts_with(form) => 0,
        _ => form.len(),
    };
    forms.keys().zip(next).map(own).sum()
}

#[cfg(test)]
mod tests;
