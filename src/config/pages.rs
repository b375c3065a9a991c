//! `[brand]` and `[pages]`: how our own pages look.

use std::path::Path;

use crate::credentials::problem::{FileProblems, Problem};
use crate::pages::{Brand, BrokenFile, Colour, Logo, Look, MAX_LOGO, Settings};

use super::files;
use super::raw::{Item, Refusal, Table};

/// Reads both tables. `None` only with a problem found.
pub fn read(brand: &Table<'_>, pages: &Table<'_>, folder: &Path) -> Option<Settings> {
    let (brand, look) = (read_brand(brand, folder), look(pages, folder));
    Some(Settings { brand, look: look? })
}

fn read_brand(table: &Table<'_>, folder: &Path) -> Brand {
    let usual = Brand::default();
    let refused = |text: &str, said: String| Refusal::new(format!("\"{text}\" is not accepted")).write(said);
    let name = |text: &str| Brand::parse_name(text).map_err(|said| refused(text, said));
    let colour = |text: &str| Colour::parse(text).map_err(|said| refused(text, said));
    Brand {
        name: table.item("name").and_then(|item| item.parse(name)).unwrap_or(usual.name),
        colour: table.item("colour").and_then(|item| item.parse(colour)).unwrap_or(usual.colour),
        logo: table.item("logo").and_then(|item| item.parse(|text| logo(text, folder))),
    }
}

fn logo(text: &str, folder: &Path) -> Result<Logo, Refusal> {
    let path = files::resolve(folder, text)?;
    Logo::parse(files::read_up_to(&path, MAX_LOGO + 1)?).map_err(|said| {
        Refusal::new(format!("{}: {said}", path.display()))
            .write(format!("name a PNG, JPEG, GIF, WebP or SVG file of at most {} KiB", MAX_LOGO / 1024))
    })
}

fn look(table: &Table<'_>, folder: &Path) -> Option<Look> {
    let Some(item) = table.item("dir") else {
        // A mistake in our own files would not get past our tests.
        return Look::built_in().ok();
    };
    let path = item.parse(|text| files::resolve(folder, text))?;
    let look = Look::with_folder(&path).map_err(|files| refuse(&item, files)).ok()?;
    for advice in look.advice() {
        item.place.warning(Refusal::new(advice.message.as_str()).write(advice.help.as_str()));
    }
    for (file, texts) in look.untranslated() {
        let shown: Vec<&str> = texts.iter().take(3).map(String::as_str).collect();
        let more = if texts.len() > shown.len() { ", …" } else { "" };
        let what = format!("{} leaves {} texts in English", file.display(), texts.len());
        item.place.warning(Refusal::new(what).write(format!("add {}{more}", shown.join(", "))));
    }
    Some(look)
}

/// Every file is a problem of its own, shown with its lines.
fn refuse(item: &Item<'_>, broken: Vec<BrokenFile>) {
    for BrokenFile { path, text, problems } in broken {
        let into = |crate::pages::Problem { span, message, help }| Problem { span, message, help };
        let problems: Vec<Problem> = problems.into_iter().map(into).collect();
        let shown = path.display().to_string();
        let refusal = match problems.as_slice() {
            [only] if only.span.is_none() => {
                Refusal::new(format!("{shown}: {}", only.message)).write(only.help.as_str())
            }
            _ => Refusal::new(format!("{shown} is refused for what follows"))
                .attach(FileProblems::new(&path, text, problems)),
        };
        item.place.problem(refusal);
    }
}
