//! `[brand]` and `[pages]`: the appearance of the gateway's own pages.

use std::fmt::Display;
use std::path::Path;

use crate::credentials::problem::FileProblems;
use crate::pages::{Brand, BrokenFile, Colour, Logo, MAX_LOGO, PageSettings, Theme};

use super::files;
use super::raw::{Item, RawTable};
use super::refusal::ValueRefusal;

/// Reads both tables. `None` only if a problem was reported.
pub(crate) fn read(brand: &RawTable<'_>, pages: &RawTable<'_>, folder: &Path) -> Option<PageSettings> {
    let (brand, theme) = (read_brand(brand, folder), theme(pages, folder));
    Some(PageSettings { brand, theme: theme? })
}

fn read_brand(table: &RawTable<'_>, folder: &Path) -> Brand {
    let usual = Brand::default();
    let refused = |text: &str, what: &str, error: &dyn Display| {
        ValueRefusal::new(format!("\"{text}\" is not a valid {what}")).write(error.to_string())
    };
    let name = |text: &str| Brand::parse_name(text).map_err(|error| refused(text, "name", &error));
    let colour = |text: &str| Colour::parse(text).map_err(|error| refused(text, "colour", &error));
    Brand {
        name: table.item("name").and_then(|item| item.parse(name)).unwrap_or(usual.name),
        colour: table.item("colour").and_then(|item| item.parse(colour)).unwrap_or(usual.colour),
        logo: table.item("logo").and_then(|item| item.parse(|text| logo(text, folder))),
    }
}

fn logo(text: &str, folder: &Path) -> Result<Logo, ValueRefusal> {
    let path = files::resolve(folder, text)?;
    Logo::parse(files::read_up_to(&path, MAX_LOGO + 1)?).map_err(|error| {
        ValueRefusal::new(format!("{}: {error}", path.display())).write(format!(
            "remove this line, or name a PNG, JPEG, GIF, WebP or SVG file of at most {} KiB",
            MAX_LOGO / 1024
        ))
    })
}

fn theme(table: &RawTable<'_>, folder: &Path) -> Option<Theme> {
    let Some(item) = table.item("dir") else {
        // The built-in files are tested, so this does not fail.
        return Theme::built_in().ok();
    };
    let path = item.parse(|text| files::resolve(folder, text))?;
    let theme = Theme::with_folder(&path).map_err(|files| refuse(&item, files)).ok()?;
    for advice in theme.form_problems() {
        item.location.warning(ValueRefusal::new(advice.message.as_str()).write(advice.help.as_str()));
    }
    for (file, texts) in theme.untranslated() {
        let shown: Vec<&str> = texts.iter().take(3).map(String::as_str).collect();
        let more = if texts.len() > shown.len() { ", …" } else { "" };
        let what = format!("{} has no translation for {} texts, which stay in English", file.display(), texts.len());
        item.location.warning(ValueRefusal::new(what).write(format!("add {}{more}", shown.join(", "))));
    }
    Some(theme)
}

/// One problem for each broken file, shown with its lines.
fn refuse(item: &Item<'_>, broken: Vec<BrokenFile>) {
    for BrokenFile { path, text, problems } in broken {
        let shown = path.display().to_string();
        let refusal = match problems.as_slice() {
            [only] if only.span.is_none() => {
                ValueRefusal::new(format!("{shown}: {}", only.message)).write(only.help.as_str())
            }
            _ => ValueRefusal::new(format!("{shown} has problems, listed below"))
                .attach(FileProblems::new(&path, text, problems)),
        };
        item.location.problem(refusal);
    }
}
