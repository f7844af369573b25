//! How serious a line is: as its sender says, or in the words with which commands tell CI systems.

use memchr::memmem;

/// How serious a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Fatal,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
    Trace,
    /// Some word that is none of these.
    Other,
}

impl Level {
    /// All of them, the worst first.
    pub(crate) const ALL: [Self; 8] = [
        Self::Fatal,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
        Self::Trace,
        Self::Other,
    ];

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
            Self::Other => "other",
        }
    }

    /// What a sender means by a word; nothing where it says none.
    pub(super) fn named(word: &str) -> Option<Self> {
        let is = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(word));
        let level = match () {
            () if word.is_empty() => return None,
            () if is(&["fatal", "critical", "crit", "alert", "emergency", "emerg", "panic"]) => Self::Fatal,
            () if is(&["error", "err", "severe"]) => Self::Error,
            () if is(&["warning", "warn"]) => Self::Warning,
            () if is(&["notice"]) => Self::Notice,
            () if is(&["info", "information", "log"]) => Self::Info,
            () if is(&["debug", "verbose"]) => Self::Debug,
            () if is(&["trace"]) => Self::Trace,
            () => Self::Other,
        };
        Some(level)
    }

    /// What the line of a command says of itself: `::error …::`, `##[error]`, `##vso[task.logissue type=error;…]`.
    pub(super) fn annotated(line: &[u8]) -> Option<Self> {
        let line = line.trim_ascii_start();
        if let Some(rest) = line.strip_prefix(b"::") {
            let (word, rest) = split_word(rest);
            // Names in C++ begin like that as well.
            let is_command = rest.starts_with(b"::") || (rest.starts_with(b" ") && has(rest, b"::"));
            return is_command.then(|| Self::of_command(word)).flatten();
        }
        if let Some(rest) = line.strip_prefix(b"##[") {
            let (word, rest) = split_word(rest);
            return rest.starts_with(b"]").then(|| Self::of_command(word)).flatten();
        }
        let rest = line.strip_prefix(b"##vso[task.logissue ")?;
        let properties = &rest[..memchr::memchr(b']', rest)?];
        let mut properties = properties.split(|byte| *byte == b';');
        properties.find_map(|property| Self::of_command(property.trim_ascii().strip_prefix(b"type=")?))
    }

    fn of_command(word: &[u8]) -> Option<Self> {
        match word {
            b"error" => Some(Self::Error),
            b"warning" => Some(Self::Warning),
            b"notice" => Some(Self::Notice),
            b"debug" => Some(Self::Debug),
            _ => None,
        }
    }

    /// Whether a command that fails may have failed with this line.
    pub(super) const fn is_failure(self) -> bool {
        matches!(self, Self::Fatal | Self::Error)
    }
}

/// The letters at the beginning, and what follows them.
fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_lowercase()).unwrap_or(text.len());
    text.split_at(end)
}

fn has(text: &[u8], what: &[u8]) -> bool {
    memmem::find(text, what).is_some()
}

/// How many lines there are of each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Levels([u64; Level::ALL.len()]);

impl Levels {
    /// One more.
    pub(super) fn count(&mut self, level: Level) {
        self.0[level as usize] += 1;
    }

    /// Those of which there are any.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (Level, u64)> {
        Level::ALL.into_iter().zip(self.0).filter(|(_, lines)| *lines > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_say_how_serious_a_line_is_in_the_words_of_two_systems() {
        let cases = [
            ("::error::it broke", Some(Level::Error)),
            ("::error file=a.rs,line=1::it broke", Some(Level::Error)),
            ("  ::warning title=T::careful", Some(Level::Warning)),
            ("::notice::look", Some(Level::Notice)),
            ("::debug::inner", Some(Level::Debug)),
            ("##[error]it broke", Some(Level::Error)),
            ("##[warning]careful", Some(Level::Warning)),
            ("##vso[task.logissue type=error;sourcepath=a.c]it broke", Some(Level::Error)),
            ("##vso[task.logissue sourcepath=a.c;type=warning]careful", Some(Level::Warning)),
            ("##vso[task.logissue sourcepath=a.c", None),
            ("::error<T> is a type", None),
            ("::errors::Kind", None),
            ("::error without an end", None),
            ("##[errors]", None),
            ("::group::error", None),
            ("plain ::error::", None),
            ("::", None),
            ("", None),
        ];
        for (line, level) in cases {
            assert_eq!(Level::annotated(line.as_bytes()), level, "{line:?}");
        }
    }

    #[test]
    fn the_words_of_senders_are_a_few_levels() {
        let cases = [("", None), ("ERROR", Some(Level::Error)), ("warn", Some(Level::Warning))];
        for (word, level) in cases {
            assert_eq!(Level::named(word), level, "{word:?}");
        }
        for level in Level::ALL {
            assert_eq!(Level::named(level.as_str()), Some(level));
        }
        assert_eq!(Level::named("whatever"), Some(Level::Other));
    }
}
