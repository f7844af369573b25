//! How text looks, as the sequences before it say: what a terminal keeps from line to line.

use std::fmt;

use super::{Token, Tokens};

/// The numbers that switch something on, by the bit that stands for it.
const ATTRIBUTES: [u16; 11] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 21, 53];

/// The look of text. Its text is the numbers of the shortest sequence that leads there from a plain one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    attributes: u16,
    foreground: Color,
    background: Color,
    underline: Color,
}

/// A color.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Color {
    /// As the page has it.
    #[default]
    Plain,
    /// Of the sixteen.
    Basic(u8),
    /// Of the 256.
    Indexed(u8),
    /// Any.
    Rgb(u8, u8, u8),
}

impl Style {
    /// Whether nothing was said.
    pub(crate) fn is_plain(self) -> bool {
        self == Self::default()
    }

    /// After the sequences of a line.
    pub(crate) fn read(&mut self, line: &[u8]) {
        for token in Tokens::of(line) {
            if let Token::Style(numbers) = token {
                self.apply(numbers);
            }
        }
    }

    /// After one sequence, of these numbers.
    pub(crate) fn apply(&mut self, numbers: &[u8]) {
        let mut parameters = numbers.split(|byte| *byte == b';');
        while let Some(parameter) = parameters.next() {
            let mut parts = parameter.split(|byte| *byte == b':').map(number);
            let code = parts.next().unwrap_or(0);
            match code {
                38 | 48 | 58 => {
                    let color = if parameter.contains(&b':') {
                        color_of_parts(parts)
                    } else {
                        color(&mut parameters.by_ref().map(number))
                    };
                    self.paint(code, color);
                }
                4 if parts.next() == Some(0) => self.clear(&[4, 21]),
                _ => self.switch(code),
            }
        }
    }

    fn paint(&mut self, code: u16, color: Option<Color>) {
        let Some(color) = color else { return };
        match code {
            38 => self.foreground = color,
            48 => self.background = color,
            _ => self.underline = color,
        }
    }

    fn switch(&mut self, code: u16) {
        match code {
            0 => *self = Self::default(),
            22 => self.clear(&[1, 2]),
            23 => self.clear(&[3]),
            24 => self.clear(&[4, 21]),
            25 => self.clear(&[5, 6]),
            27..=29 => self.clear(&[code - 20]),
            55 => self.clear(&[53]),
            30..=37 => self.foreground = Color::Basic(low(code - 30)),
            39 => self.foreground = Color::Plain,
            40..=47 => self.background = Color::Basic(low(code - 40)),
            49 => self.background = Color::Plain,
            59 => self.underline = Color::Plain,
            90..=97 => self.foreground = Color::Basic(low(code - 90 + 8)),
            100..=107 => self.background = Color::Basic(low(code - 100 + 8)),
            _ => self.attributes |= bit(code),
        }
    }

    fn clear(&mut self, codes: &[u16]) {
        for code in codes {
            self.attributes &= !bit(*code);
        }
    }
}

/// What stands for a number that switches something on; nothing for any other.
fn bit(code: u16) -> u16 {
    ATTRIBUTES.iter().position(|known| *known == code).map_or(0, |at| 1 << at)
}

/// A number; none is 0, and one that is too large is no number of anything.
fn number(digits: &[u8]) -> u16 {
    let text = std::str::from_utf8(digits).unwrap_or("?");
    if text.is_empty() { 0 } else { text.parse().unwrap_or(u16::MAX) }
}

/// Of a number that is known to fit.
fn low(number: u16) -> u8 {
    number.to_le_bytes()[0]
}

/// `5;N` or `2;R;G;B`. Also where a number is none of a color, those behind it are none of anything else.
fn color(numbers: &mut impl Iterator<Item = u16>) -> Option<Color> {
    let kind = numbers.next()?;
    let mut next = || numbers.next().map(u8::try_from);
    match kind {
        5 => Some(Color::Indexed(next()?.ok()?)),
        2 => {
            let (red, green, blue) = (next()?, next()?, next()?);
            Some(Color::Rgb(red.ok()?, green.ok()?, blue.ok()?))
        }
        _ => None,
    }
}

/// The same between colons, where a number that names the space of colors may stand before the three.
fn color_of_parts(parts: impl Iterator<Item = u16>) -> Option<Color> {
    // No form has more; a line may.
    let mut parts: Vec<_> = parts.take(5).collect();
    if parts.first() == Some(&2) && parts.len() > 4 {
        parts.remove(1);
    }
    color(&mut parts.into_iter())
}

impl Color {
    /// Where `base` is the number of the first of the eight, and the bright ones stand 60 behind it.
    fn codes(self, base: u16) -> Option<String> {
        match self {
            Self::Plain => None,
            // The color of underlines is none of the sixteen.
            Self::Basic(index @ 0..8) => Some((base + u16::from(index)).to_string()),
            Self::Basic(index) => Some((base + 60 - 8 + u16::from(index)).to_string()),
            Self::Indexed(index) => Some(format!("{};5;{index}", base + 8)),
            Self::Rgb(red, green, blue) => Some(format!("{};2;{red};{green};{blue}", base + 8)),
        }
    }
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = ATTRIBUTES.into_iter().filter(|code| self.attributes & bit(*code) != 0);
        let colors = [self.foreground.codes(30), self.background.codes(40), self.underline.codes(50)];
        let all: Vec<_> = on.map(|code| code.to_string()).chain(colors.into_iter().flatten()).collect();
        f.write_str(&all.join(";"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(line: &str) -> String {
        let mut style = Style::default();
        style.read(line.as_bytes());
        style.to_string()
    }

    #[test]
    fn a_line_of_sequences_alone_costs_no_memory() {
        assert_eq!(after(&"\x1b[38;2;1;2;3m\x1b[4;5m".repeat(50_000)), "4;5;38;2;1;2;3");
        assert_eq!(after(&format!("\x1b[{}1m", "38:".repeat(100_000))), "");
    }

    proptest! {
        #[test]
        fn what_it_says_of_itself_leads_to_it(numbers in "[0-9;:]{0,40}") {
            let mut style = Style::default();
            style.apply(numbers.as_bytes());
            let said = style.to_string();
            prop_assert!(said.len() < 80);
            let mut again = Style::default();
            if !said.is_empty() {
                again.apply(said.as_bytes());
            }
            prop_assert_eq!(style, again);
        }
    }
}
