//! One accent colour, and its variants with enough contrast for text in it and on it.

use std::fmt;

use thiserror::Error;

/// The minimum contrast of text with its background (WCAG 2.2, 1.4.3).
const READABLE: f64 = 4.5;
/// Steps between a colour and black or white.
const STEPS: u16 = 64;

/// A colour, eight bits a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colour {
    red: u8,
    green: u8,
    blue: u8,
}

/// White.
pub(crate) const WHITE: Colour = Colour { red: 255, green: 255, blue: 255 };
/// Black.
pub(crate) const BLACK: Colour = Colour { red: 0, green: 0, blue: 0 };

/// Why a text is not a valid colour. Its message says what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("write \"#17694e\" or another colour: red, green and blue, two hexadecimal digits each")]
pub(crate) struct ColourError;

impl Colour {
    /// Reads `#rrggbb` or `#rgb`.
    pub(crate) fn parse(text: &str) -> Result<Self, ColourError> {
        let digits = text.strip_prefix('#').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let digits = digits.ok_or(ColourError)?;
        let number = u32::from_str_radix(digits, 16).map_err(|_| ColourError)?;
        let channel = |bits: u32, shift: u32| ((number >> shift) & ((1 << bits) - 1)) as u8;
        match digits.len() {
            6 => Ok(Self { red: channel(8, 16), green: channel(8, 8), blue: channel(8, 0) }),
            3 => Ok(Self { red: channel(4, 8) * 17, green: channel(4, 4) * 17, blue: channel(4, 0) * 17 }),
            _ => Err(ColourError),
        }
    }

    /// The contrast with another colour, 1 to 21 (WCAG 2.2, "contrast ratio").
    pub(crate) fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// Black or white, whichever has more contrast with this colour.
    pub(crate) fn readable_text(self) -> Self {
        if self.contrast(WHITE) >= self.contrast(BLACK) { WHITE } else { BLACK }
    }

    /// This colour, or the nearest one on the way to black or white that has enough contrast with `paper`.
    pub(crate) fn readable_on(self, paper: Self) -> Self {
        let end = paper.readable_text();
        let steps = (0..=STEPS).map(|step| self.mixed(end, step));
        steps.into_iter().find(|colour| colour.contrast(paper) >= READABLE).unwrap_or(end)
    }

    fn mixed(self, end: Self, step: u16) -> Self {
        let channel = |from: u8, to: u8| {
            let mixed = (u16::from(from) * (STEPS - step) + u16::from(to) * step) / STEPS;
            u8::try_from(mixed).unwrap_or(to)
        };
        Self {
            red: channel(self.red, end.red),
            green: channel(self.green, end.green),
            blue: channel(self.blue, end.blue),
        }
    }

    /// WCAG 2.2, "relative luminance".
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let part = f64::from(channel) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour(text: &str) -> Colour {
        Colour::parse(text).unwrap()
    }

    #[test]
    fn colours_are_read_and_written() {
        for (text, want) in [("#17694e", "#17694e"), ("#FFF", "#ffffff"), ("#1aF", "#11aaff")] {
            assert_eq!(colour(text).to_string(), want);
        }
        for text in ["", "#", "red", "17694e", "#17694", "#17694ee", "#17694g", "#+7694e", "#ä1", "#1769 4"] {
            assert!(Colour::parse(text).is_err(), "{text}");
        }
    }

    /// Ratios as the W3C's own examples and well-known checkers give them.
    #[test]
    fn contrast_follows_the_standard() {
        let cases = [
            ("#000", "#fff", 21.0),
            ("#fff", "#fff", 1.0),
            ("#777", "#fff", 4.48),
            ("#767676", "#fff", 4.54),
            ("#f00", "#fff", 4.0),
            ("#00f", "#fff", 8.59),
            ("#ff0", "#000", 19.56),
        ];
        for (one, two, want) in cases {
            for (one, two) in [(one, two), (two, one)] {
                let contrast = colour(one).contrast(colour(two));
                assert!((contrast - want).abs() < 0.01, "{one} on {two}: {contrast}");
            }
        }
    }

    #[test]
    fn the_text_colour_has_enough_contrast() {
        let cases = [("#17694e", WHITE), ("#ffd400", BLACK), ("#fff", BLACK), ("#000", WHITE), ("#e4572e", BLACK)];
        for (text, want) in cases {
            assert_eq!(colour(text).readable_text(), want, "{text}");
        }
        for grey in 0..=255 {
            let grey = Colour { red: grey, green: grey, blue: grey };
            assert!(grey.contrast(grey.readable_text()) >= READABLE, "{grey}");
        }
    }

    #[test]
    fn a_colour_with_low_contrast_is_changed_and_others_are_not() {
        let cases = [("#17694e", "#fff", true), ("#ffd400", "#fff", false), ("#17694e", "#1b1e1d", false)];
        for (text, paper, stays) in cases {
            let (given, paper) = (colour(text), colour(paper));
            let made = given.readable_on(paper);
            assert!(made.contrast(paper) >= READABLE, "{text} on {paper}: {made}");
            assert_eq!(made == given, stays, "{text} on {paper}: {made}");
        }
    }
}
