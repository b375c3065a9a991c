//! Forms: every field is read as the `url` crate reads it, and a name that comes twice has no value.

#![no_main]

use exeunt::values::form::{Form, FormValue};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(form) = Form::parse(input) else { return is_no_form(input) };
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(input).into_owned().collect();
    for (name, value) in &fields {
        let times = fields.iter().filter(|(other, _)| other == name).count();
        let want = if times == 1 { FormValue::One(value.as_str()) } else { FormValue::Several };
        assert_eq!(form.field(&[name.as_str()]), want, "{name:?}");
    }
    let names: Vec<&str> =
        ["next", "rd"].into_iter().filter(|name| fields.iter().any(|(other, _)| other == name)).collect();
    if names.len() == 2 {
        assert_eq!(form.field(&["next", "rd"]), FormValue::Several);
    }
    if !fields.iter().any(|(name, _)| name == "username") {
        assert_eq!(form.field(&["username"]), FormValue::Absent);
    }
    assert_eq!(format!("{form:?}"), format!("Form({} fields)", fields.len()), "no value is shown");
});

/// Only forms that are not text, or have more fields than any of the gateway's, are refused.
fn is_no_form(input: &[u8]) {
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(input).into_owned().collect();
    let replaced = fields.iter().any(|(name, value)| name.contains('\u{fffd}') || value.contains('\u{fffd}'));
    assert!(replaced || fields.len() > 64, "{:?}", String::from_utf8_lossy(input));
}
