//! The addresses of the shop.

use http::Method;

/// An address of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShopPath {
    /// The goods.
    Catalogue,
    /// The cart: shown, and changed by a form.
    Cart,
    /// The headers of the request, as a page.
    Headers,
    /// The same as JSON.
    HeadersJson,
    /// Live prices.
    Ticker,
    /// Its script.
    TickerScript,
    /// Prices over a WebSocket.
    WebSocket,
    /// Prices as server-sent events.
    EventStream,
    /// The form that chooses the language.
    Language,
    /// The shop's own logout.
    Logout,
    /// About the shop; needs no sign-in.
    About,
    /// The style of all pages; needs no sign-in.
    Style,
}

impl ShopPath {
    /// The address of a path; `None` for unknown paths.
    pub(crate) fn find(path: &str) -> Option<Self> {
        Some(match path {
            "/" => Self::Catalogue,
            "/cart" => Self::Cart,
            "/headers" => Self::Headers,
            "/headers.json" => Self::HeadersJson,
            "/ticker" => Self::Ticker,
            "/ticker.js" => Self::TickerScript,
            "/ticker/ws" => Self::WebSocket,
            "/ticker/sse" => Self::EventStream,
            "/language" => Self::Language,
            "/accounts/logout/" => Self::Logout,
            "/public" | "/public/" => Self::About,
            "/public/shop.css" => Self::Style,
            _ => return None,
        })
    }

    /// The value of `Allow`.
    pub(crate) fn methods(self) -> &'static str {
        match self {
            Self::Cart | Self::Logout => "GET, HEAD, POST",
            Self::Language => "POST",
            _ => "GET, HEAD",
        }
    }

    /// Whether it answers a method.
    pub(crate) fn allows(self, method: &Method) -> bool {
        self.methods().split(", ").any(|allowed| allowed == method.as_str())
    }
}

/// The page that the language form leads back to: the catalogue for everything else than these pages.
pub(super) fn page_to_return_to(path: &str) -> &'static str {
    const PAGES: [&str; 6] = ["/", "/cart", "/headers", "/ticker", "/accounts/logout/", "/public/"];
    PAGES.into_iter().find(|page| *page == path).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_form_leads_nowhere_else() {
        for path in ["//evil.test", "https://evil.test/", "/language", "/logout", "", "cart"] {
            assert_eq!(page_to_return_to(path), "/", "{path}");
        }
        assert_eq!(page_to_return_to("/cart"), "/cart");
    }

    #[test]
    fn only_forms_are_posted_to() {
        let post = |path| ShopPath::find(path).unwrap().allows(&Method::POST);
        assert!(post("/cart") && post("/accounts/logout/") && post("/language"));
        assert!(!post("/") && !post("/headers") && !post("/ticker/ws"));
        assert!(!ShopPath::find("/language").unwrap().allows(&Method::GET));
        assert!(!ShopPath::find("/cart").unwrap().allows(&Method::DELETE));
    }
}
