//! The language of a visitor: from the cookie, else from the browser.

use http::header::{ACCEPT_LANGUAGE, HeaderMap};

use super::cookies::cookie;

/// The name of its cookie, which scripts can read.
pub(super) const COOKIE: &str = "lang";

/// A language of the shop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ShopLanguage {
    /// English.
    #[default]
    English,
    /// German.
    German,
}

impl ShopLanguage {
    /// The language with a short name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "en" => Some(Self::English),
            "de" => Some(Self::German),
            _ => None,
        }
    }

    /// Its short name.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// The language for a request.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let chosen = cookie(headers, COOKIE).and_then(Self::parse);
        let asked = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        chosen.or_else(|| asked.and_then(first_known)).unwrap_or_default()
    }

    /// An amount of cents, formatted for this language.
    pub(crate) fn money(self, cents: u32) -> String {
        let (whole, rest) = (cents / 100, cents % 100);
        match self {
            Self::English => format!("€{whole}.{rest:02}"),
            Self::German => format!("{whole},{rest:02}\u{a0}€"),
        }
    }
}

/// The first known language. Browsers list languages in the order of preference, so the weights are ignored.
fn first_known(accepted: &str) -> Option<ShopLanguage> {
    accepted
        .split(',')
        .filter_map(|range| range.trim().get(..2))
        .find_map(|code| ShopLanguage::parse(&code.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::COOKIE as COOKIE_HEADER;

    fn of(cookies: Option<&'static str>, accepted: Option<&'static str>) -> ShopLanguage {
        let mut headers = HeaderMap::new();
        headers.extend(cookies.map(|value| (COOKIE_HEADER, value.parse().unwrap())));
        headers.extend(accepted.map(|value| (ACCEPT_LANGUAGE, value.parse().unwrap())));
        ShopLanguage::of(&headers)
    }

    #[test]
    fn the_cookie_overrides_the_browsers_language() {
        assert_eq!(of(None, None), ShopLanguage::English);
        assert_eq!(of(None, Some("fr-FR, DE-at;q=0.8, en")), ShopLanguage::German);
        assert_eq!(of(Some("a=b; lang=en"), Some("de")), ShopLanguage::English);
        assert_eq!(of(Some("lang=xx"), Some("de")), ShopLanguage::German);
        assert_eq!(of(None, Some("é,f")), ShopLanguage::English);
    }

    #[test]
    fn amounts_are_formatted_for_the_language() {
        assert_eq!(ShopLanguage::English.money(1205), "€12.05");
        assert_eq!(ShopLanguage::German.money(90), "0,90\u{a0}€");
    }
}
