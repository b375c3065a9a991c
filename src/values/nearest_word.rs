//! The suggestion for a misspelt word ("did you mean").

/// The most similar word of a list, if its similarity (Jaro-Winkler) is above 0.8.
pub(crate) fn nearest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    let likeness = |other: &str| strsim::jaro_winkler(&word, &other.replace('-', "_"));
    let scored = words.iter().map(|other| (likeness(other), *other));
    let best = scored.max_by(|left, right| left.0.total_cmp(&right.0));
    best.filter(|(likeness, _)| *likeness > 0.8).map(|(_, other)| other)
}
