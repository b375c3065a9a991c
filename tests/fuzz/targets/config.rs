//! Configurations: what is accepted holds together, what is refused is said in place, and no password hash is shown.

#![no_main]

use std::path::Path;

use exeunt::config;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // Files of this kind are read for ever.
    if ["/proc", "/sys", "/dev"].iter().any(|special| text.contains(special)) {
        return;
    }
    match config::parse("config.toml", text, Path::new("/nowhere")) {
        Ok((settings, report)) => {
            assert!(!report.has_problems());
            holds_together(&settings);
        }
        Err(report) => {
            assert!(report.has_problems(), "refused without a word");
            let shown = report.to_string();
            assert!(shown.contains("config.toml"), "{shown}");
            assert!(!shown.chars().any(|sign| sign.is_control() && !"\n\t".contains(sign)), "{shown:?}");
        }
    }
});

fn holds_together(settings: &config::Settings) {
    let gateway = &settings.gateway;
    assert!(!settings.server.listen.is_empty());
    assert!(gateway.hosts.origins().count() > 0);
    assert!(settings.session.lifetime.idle <= settings.session.lifetime.absolute);
    assert!(!settings.session.lifetime.idle.is_zero());
    for route in &gateway.routes {
        assert!(!route.upstreams.is_empty());
    }
    // The next page of a sign-in stays here.
    assert!(gateway.login.next.origin().is_none_or(|origin| gateway.hosts.origins().any(|own| own == *origin)));
}
