//! The shop's own pages. Templates escape what they are given.

use http::{HeaderMap, HeaderName, HeaderValue};
use minijinja::value::Serde;
use minijinja::{Environment, Error, Value, context};
use serde::Serialize;

use super::cart::Cart;
use super::cookies::cookies;
use super::products::{self, PRODUCTS};
use super::texts::Texts;
use super::visit::Visit;

/// The style of all pages.
pub(super) const STYLE: &str = include_str!("templates/shop.css");
/// The script of the page with live prices.
pub(super) const SCRIPT: &str = include_str!("templates/ticker.js");

const TEMPLATES: [(&str, &str); 8] = [
    ("layout.html", include_str!("templates/layout.html")),
    ("catalogue.html", include_str!("templates/catalogue.html")),
    ("cart.html", include_str!("templates/cart.html")),
    ("headers.html", include_str!("templates/headers.html")),
    ("ticker.html", include_str!("templates/ticker.html")),
    ("logout.html", include_str!("templates/logout.html")),
    ("about.html", include_str!("templates/about.html")),
    ("missing.html", include_str!("templates/missing.html")),
];

/// Renders pages.
#[derive(Debug)]
pub(super) struct ShopPages(Environment<'static>);

#[derive(Serialize)]
struct CartLine {
    id: &'static str,
    name: &'static str,
    about: &'static str,
    count: u32,
    price: String,
}

impl ShopPages {
    /// Reads the templates.
    ///
    /// # Errors
    /// A template is invalid; a test reads all of them.
    pub(crate) fn new() -> Result<Self, Error> {
        let mut environment = Environment::new();
        for (name, source) in TEMPLATES {
            environment.add_template(name, source)?;
        }
        Ok(Self(environment))
    }

    /// The goods.
    pub(crate) fn catalogue(&self, visit: &Visit<'_>, cart: &Cart) -> String {
        let line = |good: &'static products::Product| CartLine {
            id: good.id,
            name: good.name(visit.language),
            about: good.about(visit.language),
            count: 0,
            price: visit.language.money(good.cents),
        };
        let lines: Vec<_> = PRODUCTS.iter().map(line).collect();
        self.render("catalogue.html", visit, context! { lines => Serde(lines), count => cart.count() })
    }

    /// The cart.
    pub(crate) fn cart(&self, visit: &Visit<'_>, cart: &Cart) -> String {
        let line = |(good, count): (&'static products::Product, u32)| CartLine {
            id: good.id,
            name: good.name(visit.language),
            about: good.about(visit.language),
            count,
            price: visit.language.money(good.cents * count),
        };
        let lines: Vec<_> = cart.lines().map(line).collect();
        let total = visit.language.money(cart.cents());
        self.render("cart.html", visit, context! { lines => Serde(lines), count => cart.count(), total })
    }

    /// The headers of the request.
    pub(crate) fn headers(&self, visit: &Visit<'_>) -> String {
        let text = |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), lossy(value));
        let headers: Vec<_> = visit.headers.iter().map(text).collect();
        let cookies: Vec<_> = cookies(visit.headers).collect();
        self.render("headers.html", visit, context! { headers => Serde(headers), cookies => Serde(cookies) })
    }

    /// Live prices; the script fills them in.
    pub(crate) fn ticker(&self, visit: &Visit<'_>) -> String {
        let lines: Vec<_> = PRODUCTS.iter().map(|good| (good.id, good.name(visit.language))).collect();
        self.render("ticker.html", visit, context! { lines => Serde(lines) })
    }

    /// The logout form.
    pub(crate) fn logout(&self, visit: &Visit<'_>) -> String {
        self.render("logout.html", visit, context! {})
    }

    /// About the shop.
    pub(crate) fn about(&self, visit: &Visit<'_>) -> String {
        self.render("about.html", visit, context! {})
    }

    /// The page for unknown addresses.
    pub(crate) fn missing(&self, visit: &Visit<'_>) -> String {
        self.render("missing.html", visit, context! {})
    }

    fn render(&self, name: &str, visit: &Visit<'_>, values: Value) -> String {
        let (words, lang) = (Serde(Texts::of(visit.language)), visit.language.code());
        let values = context! { words, lang, user => visit.user.as_deref(), path => visit.path, ..values };
        let rendered = self.0.get_template(name).and_then(|template| template.render(values));
        rendered.unwrap_or_else(|error| error.to_string())
    }
}

/// The headers as JSON: every name with its value, or with a list if it is repeated.
pub(super) fn headers_json(headers: &HeaderMap, user: Option<&str>) -> String {
    let values = |name: &HeaderName| {
        let mut values: Vec<_> = headers.get_all(name).iter().map(lossy).collect();
        match (values.pop(), values.is_empty()) {
            (Some(only), true) => serde_json::Value::from(only),
            (last, _) => values.into_iter().chain(last).collect(),
        }
    };
    let headers: serde_json::Map<_, _> = headers.keys().map(|name| (name.to_string(), values(name))).collect();
    format!("{:#}\n", serde_json::json!({ "user": user, "headers": headers }))
}

fn lossy(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
