//! "Did you mean": the known word that a misspelt one is most similar to.

/// The most similar word of a list, if one is similar enough.
pub(crate) fn nearest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    let likeness = |other: &str| strsim::jaro_winkler(&word, &other.replace('-', "_"));
    let scored = words.iter().map(|other| (likeness(other), *other));
    let best = scored.max_by(|left, right| left.0.total_cmp(&right.0));
    best.filter(|(likeness, _)| *likeness > 0.8).map(|(_, other)| other)
}
