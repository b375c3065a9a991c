//! Invisible characters, which change how a terminal or a viewer displays the text around them.

/// The non-ASCII characters of the Unicode 16 categories Cf (format: directions, joiners, tags), Zl and Zp
/// (separators), as the first and last of each range. Ranges that consist mostly of such characters are included
/// completely.
const FORMAT: [(char, char); 20] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0001}', '\u{e0001}'),
    ('\u{e0020}', '\u{e007f}'),
];

/// Whether a character is a control character, or changes the direction, joining or lines of other characters.
pub fn is_invisible(sign: char) -> bool {
    let of_format = || FORMAT.iter().any(|(first, last)| (first..=last).contains(&&sign));
    sign.is_control() || (!sign.is_ascii() && of_format())
}

/// A replacement of the same length in bytes, so that byte offsets in messages stay valid.
fn placeholder_for(sign: char) -> &'static str {
    match sign.len_utf8() {
        1 => "?",
        2 => "·",
        3 => "\u{fffd}",
        _ => "··",
    }
}

/// The message with invisible characters except line breaks replaced. Its length in bytes does not change.
pub(crate) fn visible(text: &str) -> String {
    without(text, |sign| sign != '\n' && is_invisible(sign))
}

/// The text of a file with non-ASCII invisible characters replaced. Its length in bytes does not change. ASCII control
/// characters stay: tabs and line ends are meaningful, and the code that shows excerpts handles the others.
pub(crate) fn excerpt(text: &str) -> String {
    without(text, |sign| !sign.is_ascii() && is_invisible(sign))
}

fn without(text: &str, goes: impl Fn(char) -> bool) -> String {
    let mut seen = String::with_capacity(text.len());
    for sign in text.chars() {
        if goes(sign) { seen.push_str(placeholder_for(sign)) } else { seen.push(sign) }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_replaced_and_the_length_is_kept() {
        let text = "a\u{1b}[1m\n\u{9b}\u{202e}b\u{e0041}ä";
        assert_eq!(visible(text), "a?[1m\n·\u{fffd}b··ä");
        assert_eq!(excerpt(text), "a\u{1b}[1m\n·\u{fffd}b··ä");
        assert_eq!((visible(text).len(), excerpt(text).len()), (text.len(), text.len()));
    }

    #[test]
    fn invisible_characters_are_recognised() {
        let invisible = "\0\n\t\r\u{1b}\u{7f}\u{85}\u{9b}\u{ad}\u{61c}\u{180e}\u{200b}\u{200d}\u{200e}\u{200f}\u{2028}\
                         \u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2066}\u{2067}\u{2068}\u{2069}\
                         \u{feff}\u{fffb}\u{e0041}";
        assert_eq!(invisible.chars().find(|&sign| !is_invisible(sign)), None);
        let visible = " aZ~äß€\u{a0}あ\u{202f}אبक\u{1f600}\u{fffd}·";
        assert_eq!(visible.chars().find(|&sign| is_invisible(sign)), None);
    }
}
