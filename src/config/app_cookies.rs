//! The cookies of applications: the settings of a route, and the limits in `[session]`.

use crate::vault::rules::{AppCookies, CookieLimits, CookieRules, NamePattern};

use super::duration::{self, ONE_DAY, ONE_HOUR};
use super::raw::RawTable;
use super::refusal::ValueRefusal;

const MODES: [(&str, AppCookies); 3] =
    [("vault", AppCookies::Vault), ("track", AppCookies::Track), ("pass", AppCookies::Pass)];

/// Reads the keys of a `[[route]]`.
pub(crate) fn rules(table: &RawTable<'_>) -> CookieRules {
    CookieRules {
        mode: table.item("app_cookies").and_then(|item| item.word(&MODES)).unwrap_or_default(),
        keep: patterns(table, "keep_cookies"),
        carry: patterns(table, "carry_cookies"),
        browser: patterns(table, "browser_cookies"),
        script: patterns(table, "script_cookies"),
    }
}

/// Reads the limits in `[session]`.
pub(crate) fn limits(table: &RawTable<'_>) -> CookieLimits {
    let usual = CookieLimits::default();
    let max_header = table.item("max_cookie_header").and_then(|item| item.number(1024, 256 * 1024));
    let span = ONE_HOUR..=ONE_DAY.saturating_mul(365);
    let debts = table.item("cookie_debts").and_then(|item| item.parse(|text| duration::parse(text, &span)));
    CookieLimits {
        max_header: max_header.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usual.max_header),
        debts: debts.unwrap_or(usual.debts),
    }
}

fn patterns(table: &RawTable<'_>, key: &str) -> Vec<NamePattern> {
    let read = |text: &str| {
        NamePattern::parse(text).ok_or_else(|| {
            ValueRefusal::new(format!("\"{text}\" is not the name of a cookie"))
                .write("write \"sessionid\", or \"wordpress_logged_in_*\" for all names with this beginning")
        })
    };
    table.list(key).iter().filter_map(|item| item.parse(read)).collect()
}
