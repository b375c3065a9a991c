//! Chooses the language of a page: the best match for the browser's `Accept-Language`.

use http::header::ACCEPT_LANGUAGE;

use crate::http1::headers::Headers;

/// Language ranges that are read; browsers send a handful.
const MAX_RANGES: usize = 32;

/// One of the languages of the [`super::Pages`] that chose it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Language(pub(super) usize);

/// The language of `tags` that the client prefers most; the first one if none matches (RFC 9110 12.5.4, RFC 4647 3.4).
pub(super) fn choose(headers: &dyn Headers, tags: &[String]) -> Language {
    let texts = headers.texts(&ACCEPT_LANGUAGE);
    let mut ranges: Vec<_> =
        texts.flat_map(|line| line.split(',')).filter_map(language_range).take(MAX_RANGES).collect();
    ranges.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    let found = ranges.iter().find_map(|(_, range)| look_up(range, tags));
    Language(found.unwrap_or_default())
}

/// A range and its weight in thousandths; zero means "not acceptable".
fn language_range(text: &str) -> Option<(u16, &str)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let weight = match weight {
        Some(weight) => weight.parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight))?,
        None => 1.0,
    };
    let thousandths = (weight * 1000.0) as u16;
    (thousandths > 0).then_some((thousandths, range))
}

/// The tag itself, else a shorter one (`de-AT`: `de`), else a regional one (`pt`: `pt-br`).
fn look_up(range: &str, tags: &[String]) -> Option<usize> {
    if range == "*" {
        return Some(0);
    }
    let shorter = std::iter::successors(Some(range), |range| range.rsplit_once('-').map(|(shorter, _)| shorter));
    let exact = shorter.into_iter().find_map(|range| tags.iter().position(|tag| tag.eq_ignore_ascii_case(range)));
    let kind = |tag: &String| {
        let start = tag.split_at_checked(range.len());
        start.is_some_and(|(start, rest)| start.eq_ignore_ascii_case(range) && rest.starts_with('-'))
    };
    exact.or_else(|| tags.iter().position(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    #[test]
    fn the_most_preferred_known_language_is_chosen() {
        let tags = ["en", "de", "pt-br"].map(str::to_owned);
        let cases = [
            ("", "en"),
            ("de", "de"),
            ("DE", "de"),
            ("de-AT", "de"),
            ("de-CH-1996", "de"),
            ("deu", "en"),
            ("pt", "pt-br"),
            ("pt-BR", "pt-br"),
            ("pt-PT", "en"),
            ("fr", "en"),
            ("fr, de;q=0.5", "de"),
            ("fr, *;q=0.1, de;q=0.05", "en"),
            ("en;q=0.3, de;q=0.7", "de"),
            ("de;q=0.7,en;q=0.7", "de"),
            ("de;q=0, en;q=0.1", "en"),
            ("de;q=0", "en"),
            ("de;q=x, pt-br;q=0.2", "pt-br"),
            ("de;q=2", "en"),
            ("de;q=NaN", "en"),
            (" , ;q=1, de ; Q=0.9", "de"),
            ("*", "en"),
        ];
        for (header, want) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, header.parse().unwrap());
            assert_eq!(tags[choose(&headers, &tags).0], want, "{header}");
        }
        assert_eq!(choose(&HeaderMap::new(), &tags), Language::default());
    }

    #[test]
    fn only_the_first_ranges_are_read() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, format!("{}de", "xx,".repeat(MAX_RANGES)).parse().unwrap());
        assert_eq!(choose(&headers, &["en".to_owned(), "de".to_owned()]), Language(0));
    }
}
