//! The goodbye page sends open tabs to the sign-in page (`logout.close_tabs`).
//!
//! Its script registers a service worker for the whole site, which unregisters itself before it does anything else, and
//! answers no request. Browsers run service workers in secure contexts only (https, or loopback).

use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use crate::values::own_path::OwnPages;
use crate::values::reply::Reply;

/// The script of the goodbye page.
pub(super) const CLOSE_TABS: &str = include_str!("close_tabs.js");
const WORKER: &str = include_str!("tabs_worker.js");

/// The name of the worker's script below `/.exeunt/`.
pub(crate) const NAME: &str = "tabs.js";

static SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");
static CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The worker's script: where tabs are sent, and which ones stay.
pub(super) fn worker(pages: &OwnPages) -> Bytes {
    let own: Vec<String> = pages.addresses().map(str::to_lowercase).collect();
    format!("const login = {}, own = {};\n{WORKER}", json!(pages.login().as_str()), json!(own)).into()
}

/// The worker's script as an answer, allowed to control the whole site.
pub(super) fn reply(script: &Bytes) -> Reply {
    Reply::with_body(StatusCode::OK, "text/javascript; charset=utf-8", script.clone())
        .with(SERVICE_WORKER_ALLOWED.clone(), HeaderValue::from_static("/"))
        .with(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"))
        .with(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
        .with(CROSS_ORIGIN_RESOURCE_POLICY.clone(), HeaderValue::from_static("same-origin"))
}
