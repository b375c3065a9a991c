//! Answers requests.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body as HttpBody;
use tokio::time::timeout;

use super::Shop;
use super::answer::{self, Body};
use super::cart::Cart;
use super::language::ShopLanguage;
use super::pages::{self, headers_json};
use super::shop_path::{ShopPath, page_to_return_to};
use super::visit::Visit;
use super::visitors::VisitorId;
use super::{event_stream, products, websocket};
use crate::values::form::{Form, FormValue};

/// The maximum size of a form, in bytes, and the timeout for receiving it.
const MAX_FORM: usize = 4096;
const FORM_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers a request.
pub(super) async fn answer<B>(shop: &Shop, request: Request<B>) -> Response<Body>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let path = request.uri().path().to_owned();
    let Some(shop_path) = ShopPath::find(&path) else {
        let visit = Visit::of(&path, request.headers());
        return answer::page(StatusCode::NOT_FOUND, shop.pages.missing(&visit));
    };
    if !shop_path.allows(request.method()) {
        return answer::wrong_method(shop_path.methods());
    }
    if shop_path == ShopPath::WebSocket {
        return websocket::answer(&shop.ticker, request);
    }
    if request.method() != Method::POST {
        return show(shop, shop_path, &Visit::of(&path, request.headers()));
    }
    let (head, body) = request.into_parts();
    match read_form(body).await {
        Some(form) => take(shop, shop_path, &form, &head.headers),
        None => answer::refusal(StatusCode::BAD_REQUEST, "no form that can be read\n"),
    }
}

/// Answers a GET.
fn show(shop: &Shop, shop_path: ShopPath, visit: &Visit<'_>) -> Response<Body> {
    let page = |html| answer::page(StatusCode::OK, html);
    match shop_path {
        ShopPath::Catalogue => with_cart(shop, visit, |cart| shop.pages.catalogue(visit, cart)),
        ShopPath::Cart => with_cart(shop, visit, |cart| shop.pages.cart(visit, cart)),
        ShopPath::Headers => page(shop.pages.headers(visit)),
        ShopPath::HeadersJson => {
            let json = headers_json(visit.headers, visit.user.as_deref());
            answer::content(StatusCode::OK, "application/json", json)
        }
        ShopPath::Ticker => answer::live_page(shop.pages.ticker(visit)),
        ShopPath::TickerScript => answer::file("text/javascript; charset=utf-8", pages::SCRIPT),
        ShopPath::EventStream => event_stream::answer(&shop.ticker),
        ShopPath::Logout => page(shop.pages.logout(visit)),
        ShopPath::About => page(shop.pages.about(visit)),
        ShopPath::Style => answer::file("text/css; charset=utf-8", pages::STYLE),
        ShopPath::Language | ShopPath::WebSocket => answer::wrong_method(shop_path.methods()),
    }
}

/// Answers a POST.
fn take(shop: &Shop, shop_path: ShopPath, form: &Form, headers: &HeaderMap) -> Response<Body> {
    let visit = Visit::of("", headers);
    match shop_path {
        ShopPath::Cart => change_cart(shop, &visit, form),
        ShopPath::Language => choose_language(form),
        ShopPath::Logout => {
            if let Some(id) = visit.visitor {
                shop.visitors.leave(id);
            }
            answer::with_visitor(answer::see_other("/public/"), None)
        }
        _ => answer::wrong_method(shop_path.methods()),
    }
}

/// A page with the visitor's cart. A new visitor gets an empty cart and a cookie.
fn with_cart(shop: &Shop, visit: &Visit<'_>, html: impl FnOnce(&Cart) -> String) -> Response<Body> {
    let page = |cart| answer::page(StatusCode::OK, html(cart));
    match enter(shop, visit, |_| ()) {
        None => answer::full(),
        Some((cart, None)) => page(&cart),
        Some((cart, new)) => answer::with_visitor(page(&cart), new),
    }
}

fn change_cart(shop: &Shop, visit: &Visit<'_>, form: &Form) -> Response<Body> {
    type CartChange = fn(&mut Cart, usize);
    let (id, change) = match (form.field(&["add"]), form.field(&["remove"])) {
        (FormValue::One(id), FormValue::Absent) => (id, Cart::add as CartChange),
        (FormValue::Absent, FormValue::One(id)) => (id, Cart::remove as CartChange),
        _ => return answer::refusal(StatusCode::BAD_REQUEST, "add or remove one thing\n"),
    };
    let Some(position) = products::position(id) else {
        return answer::refusal(StatusCode::BAD_REQUEST, "we do not sell that\n");
    };
    match enter(shop, visit, |cart| change(cart, position)) {
        None => answer::full(),
        Some((_, None)) => answer::see_other("/cart"),
        Some((_, new)) => answer::with_visitor(answer::see_other("/cart"), new),
    }
}

/// The visitor's cart after a change, and the visitor's id if it is new. An unknown id is not adopted (session
/// fixation).
fn enter(shop: &Shop, visit: &Visit<'_>, change: impl Fn(&mut Cart)) -> Option<(Cart, Option<VisitorId>)> {
    let known = visit.visitor.and_then(|id| shop.visitors.with_cart(id, &change));
    if let Some(cart) = known {
        return Some((cart, None));
    }
    let new = shop.visitors.enter()?;
    Some((shop.visitors.with_cart(new, change)?, Some(new)))
}

fn choose_language(form: &Form) -> Response<Body> {
    let FormValue::One(code) = form.field(&["lang"]) else {
        return answer::refusal(StatusCode::BAD_REQUEST, "choose one language\n");
    };
    let Some(language) = ShopLanguage::parse(code) else {
        return answer::refusal(StatusCode::BAD_REQUEST, "we do not speak that\n");
    };
    let back = match form.field(&["back"]) {
        FormValue::One(path) => page_to_return_to(path),
        FormValue::Absent | FormValue::Several => "/",
    };
    answer::with_language(answer::see_other(back), language)
}

async fn read_form<B>(body: B) -> Option<Form>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let read = timeout(FORM_TIMEOUT, Limited::new(body, MAX_FORM).collect()).await;
    Form::parse(&read.ok()?.ok()?.to_bytes()).ok()
}
