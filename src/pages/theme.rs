//! Templates, texts and style: the built-in ones, overridden by an operator's folder. Everything is rendered once
//! before it is used.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, UndefinedBehavior, Value, context};

use super::catalogue::Catalogue;
use super::forms;
use super::language::{self, Language};
use super::page::Page;
use super::problem::BrokenFile;
use super::samples;
use crate::http1::headers::Headers;
use crate::values::file_problem::FileProblem;

const TEMPLATES: [(&str, &str); 8] = [
    ("layout.html", include_str!("templates/layout.html")),
    ("login.html", include_str!("templates/login.html")),
    ("signed_in.html", include_str!("templates/signed_in.html")),
    ("password.html", include_str!("templates/password.html")),
    ("sessions.html", include_str!("templates/sessions.html")),
    ("confirm.html", include_str!("templates/confirm.html")),
    ("goodbye.html", include_str!("templates/goodbye.html")),
    ("refused.html", include_str!("templates/refused.html")),
];
const STYLE: &str = include_str!("style.css");
const ENGLISH: &str = include_str!("languages/en.toml");
const GERMAN: &str = include_str!("languages/de.toml");

/// The largest file of an operator's folder, in bytes.
const MAX_FILE: u64 = 256 * 1024;
/// The most files of an operator's folder.
const MAX_FILES: usize = 100;
/// The most execution steps of one page, against templates that loop forever.
const FUEL: u64 = 100_000;

/// Templates, texts and style of the pages.
#[derive(Clone)]
pub struct Theme {
    /// In the order in which they are tried: the operator's, then the built-in ones.
    environments: Vec<Environment<'static>>,
    tags: Vec<String>,
    texts: Vec<Value>,
    style: String,
    untranslated: Vec<(PathBuf, Vec<String>)>,
    advice: Vec<FileProblem>,
}

impl std::fmt::Debug for Theme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Theme").field("languages", &self.tags).finish_non_exhaustive()
    }
}

/// An operator's files, by name.
type Files = BTreeMap<String, (PathBuf, String)>;

impl Theme {
    /// The built-in theme, in English and German.
    ///
    /// # Errors
    /// Problems in the built-in files, which would be a bug of the gateway.
    pub(crate) fn built_in() -> Result<Self, Vec<BrokenFile>> {
        Self::of(&Files::new())
    }

    /// The built-in theme overridden by a folder's files: templates and `style.css` replace the built-in ones,
    /// `de.toml` changes texts of a language or adds one, further templates can be included.
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    pub(crate) fn with_folder(folder: &Path) -> Result<Self, Vec<BrokenFile>> {
        Self::of(&read_folder(folder)?)
    }

    /// Files of languages, and the texts that they leave in English.
    pub(crate) fn untranslated(&self) -> &[(PathBuf, Vec<String>)] {
        &self.untranslated
    }

    /// Problems in the forms of the templates.
    pub(crate) fn form_problems(&self) -> &[FileProblem] {
        &self.advice
    }

    pub(super) fn style(&self) -> &str {
        &self.style
    }

    pub(super) fn language(&self, headers: &dyn Headers) -> Language {
        language::choose(headers, &self.tags)
    }

    /// Renders a page. `around` has the common variables. An operator's template can still fail with values that the
    /// samples do not have: then the built-in one is used.
    pub(super) fn render(&self, language: Language, page: &Page<'_>, around: &Value) -> Option<String> {
        let values = self.values(language, page, around)?;
        self.environments.iter().find_map(|environment| render(environment, page, &values).ok())
    }

    fn values(&self, Language(language): Language, page: &Page<'_>, around: &Value) -> Option<Value> {
        let (t, lang) = (self.texts.get(language)?, self.tags.get(language)?);
        let page = context! { t, lang, alone => page.is_foreign_host(), ..page.values() };
        Some(context! { ..page, ..around.clone() })
    }

    fn of(files: &Files) -> Result<Self, Vec<BrokenFile>> {
        let (mut broken, mut untranslated) = (unknown_files(files), Vec::new());
        let languages = languages(files, &mut broken, &mut untranslated);
        let style = files.get("style.css").map_or(STYLE, |(_, text)| text.as_str()).to_owned();
        let texts = languages.iter().map(|(_, catalogue)| Arc::new(catalogue.clone()).function()).collect();
        let tags = languages.into_iter().map(|(tag, _)| tag).collect();
        let mut theme = Self { environments: Vec::new(), tags, texts, style, untranslated, advice: Vec::new() };
        let theirs = files.keys().any(|name| is_template(name)).then_some(files);
        for files in theirs.into_iter().chain([&Files::new()]) {
            match environment(files) {
                Ok(environment) => theme.environments.push(environment),
                Err(files) => broken.extend(files),
            }
        }
        let (failures, advice) = theme.tried(files);
        broken.extend(failures);
        theme.advice = advice;
        if broken.is_empty() { Ok(theme) } else { Err(broken) }
    }

    /// Renders every page in every language, with values of every kind. Returns failures, once for each place, and
    /// problems of forms. Templates that cannot be parsed are skipped.
    fn tried(&self, files: &Files) -> (Vec<BrokenFile>, Vec<FileProblem>) {
        let Some(environment) = self.environments.first() else { return Default::default() };
        let brand = context! { name => "sample", beside_logo => "", logo => "sample" };
        let around = super::shared_variables(brand, super::stylesheet("", ""), &super::Addresses::samples());
        let (mut found, mut advice) = (Vec::new(), Vec::new());
        samples::each("sample", |page| {
            for language in 0..self.tags.len() {
                let Some(values) = self.values(Language(language), &page, &around) else { continue };
                match render(environment, &page, &values) {
                    Err(error) => note(&mut found, broken_file(&error, page.template(), files)),
                    Ok(html) => {
                        let new = forms::form_problems(&page, &html).into_iter().filter(|one| !advice.contains(one));
                        advice.extend(new.collect::<Vec<_>>());
                    }
                }
            }
        });
        (found, advice)
    }
}

/// Adds the problems of a file that are not known yet.
fn note(found: &mut Vec<BrokenFile>, broken: BrokenFile) {
    match found.iter_mut().find(|other| other.path == broken.path) {
        Some(other) => {
            let is_new = |problem: &FileProblem| !other.problems.iter().any(|known| known.span == problem.span);
            let new: Vec<FileProblem> = broken.problems.into_iter().filter(is_new).collect();
            other.problems.extend(new);
        }
        None => found.push(broken),
    }
}

fn render(environment: &Environment<'_>, page: &Page<'_>, values: &Value) -> Result<String, Error> {
    environment.get_template(page.template())?.render(values)
}

fn is_template(name: &str) -> bool {
    name.ends_with(".html")
}

/// The built-in templates, overridden by those of the folder.
fn environment(files: &Files) -> Result<Environment<'static>, Vec<BrokenFile>> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_debug(true);
    // The builder fails on invalid delimiters only, and the default ones are used.
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default());
    environment.set_fuel(Some(FUEL));
    let ours = TEMPLATES.iter().filter(|(name, _)| !files.contains_key(*name));
    let ours = ours.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let theirs = files.iter().filter(|(name, _)| is_template(name));
    let theirs = theirs.map(|(name, (_, text))| (name.clone(), text.clone()));
    let mut broken = Vec::new();
    for (name, text) in ours.chain(theirs) {
        if let Err(error) = environment.add_template_owned(name.clone(), text) {
            broken.push(broken_file(&error, &name, files));
        }
    }
    if broken.is_empty() { Ok(environment) } else { Err(broken) }
}

/// The languages: English first, German, then what the folder adds. A file with a mistake is left out.
fn languages(
    files: &Files,
    broken: &mut Vec<BrokenFile>,
    untranslated: &mut Vec<(PathBuf, Vec<String>)>,
) -> Vec<(String, Catalogue)> {
    let mut languages: Vec<(String, Catalogue)> = Vec::new();
    for (tag, text) in [("en", ENGLISH), ("de", GERMAN)] {
        match Catalogue::parse(text) {
            Ok(catalogue) => languages.push((tag.to_owned(), catalogue)),
            Err(problems) => {
                broken.push(BrokenFile { path: format!("{tag}.toml").into(), text: text.into(), problems })
            }
        }
    }
    for (name, (path, text)) in files {
        let Some(tag) = name.strip_suffix(".toml").map(str::to_ascii_lowercase) else { continue };
        let known = languages.iter().position(|(other, _)| *other == tag);
        let Some((_, base)) = languages.get(known.unwrap_or_default()) else { continue };
        match base.overlaid(text) {
            Err(problems) => broken.push(BrokenFile { path: path.clone(), text: text.clone(), problems }),
            Ok(catalogue) => {
                let left = if known.is_none() { base.not_in(text) } else { Vec::new() };
                untranslated.extend((!left.is_empty()).then(|| (path.clone(), left)));
                match known.and_then(|at| languages.get_mut(at)) {
                    Some((_, texts)) => *texts = catalogue,
                    None => languages.push((tag, catalogue)),
                }
            }
        }
    }
    languages
}

/// Files that change nothing: most likely their names are misspelt.
fn unknown_files(files: &Files) -> Vec<BrokenFile> {
    let names = TEMPLATES.iter().map(|(name, _)| *name);
    let known: Vec<&str> = names.chain(["style.css"]).collect();
    let included = |name: &str| files.values().any(|(_, text)| text.contains(&format!("\"{name}\"")));
    let is_stranger = |name: &str| match name.rsplit_once('.') {
        Some((_, "html")) => !known.contains(&name) && !included(name),
        Some((_, "css")) => name != "style.css",
        Some((tag, "toml")) => !is_tag(tag),
        _ => false,
    };
    let strangers = files.iter().filter(|(name, _)| is_stranger(name));
    strangers
        .map(|(_, (path, _))| {
            let (shown, names) = (path.display(), known.join(", "));
            let help =
                format!("remove the file {shown}, or rename it to one of {names}, or to a language such as fr.toml");
            let problem = FileProblem::whole("no page uses a file of this name", help);
            BrokenFile { path: path.clone(), text: String::new(), problems: vec![problem] }
        })
        .collect()
}

/// The usual shape of a language tag (RFC 5646 2.1): `fr`, `pt-br`, `zh-hant`.
fn is_tag(text: &str) -> bool {
    let mut parts = text.split('-');
    let first = parts.next().is_some_and(|part| (2..=3).contains(&part.len()) && is_alphabetic(part));
    first && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn is_alphabetic(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// The message of a failure, with its file. A failure within a built-in template is attributed to the operator's file
/// that caused it, and the page is named.
fn broken_file(error: &Error, page: &str, files: &Files) -> BrokenFile {
    let innermost = std::iter::successors(Some(error), |error| {
        std::error::Error::source(*error).and_then(|source| source.downcast_ref::<Error>())
    });
    let error = innermost.last().unwrap_or(error);
    let name = error.name().unwrap_or(page);
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    let message = format!("{}{detail}", error.kind());
    let help = format!("found while rendering {page} with sample values");
    match files.get(name) {
        Some((path, text)) => {
            let problem =
                FileProblem { span: error.range().filter(|at| text.get(at.clone()).is_some()), message, help };
            BrokenFile { path: path.clone(), text: text.clone(), problems: vec![problem] }
        }
        None => {
            let problem = FileProblem::whole(message, help);
            BrokenFile { path: name.into(), text: String::new(), problems: vec![problem] }
        }
    }
}

fn read_folder(folder: &Path) -> Result<Files, Vec<BrokenFile>> {
    let unreadable = |path: &Path, what: String, help: &str| BrokenFile {
        path: path.to_owned(),
        text: String::new(),
        problems: vec![FileProblem::whole(what, help)],
    };
    let entries = fs::read_dir(folder).and_then(|entries| entries.take(MAX_FILES + 1).collect::<Result<Vec<_>, _>>());
    let entries = entries.map_err(|error| {
        vec![unreadable(
            folder,
            format!("the folder cannot be read: {error}"),
            "remove this line, or name a folder that the service can read",
        )]
    })?;
    if entries.len() > MAX_FILES {
        let what = format!("there are more than {MAX_FILES} files");
        return Err(vec![unreadable(folder, what, "use a folder that contains the pages' files only")]);
    }
    let (mut files, mut broken) = (Files::new(), Vec::new());
    for path in entries.into_iter().map(|entry| entry.path()) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        if !matches!(path.extension().and_then(|end| end.to_str()), Some("html" | "css" | "toml")) {
            continue;
        }
        match read_file(&path) {
            Ok(text) => drop(files.insert(name, (path, text))),
            Err(error) => {
                broken.push(unreadable(&path, error.to_string(), "write it as UTF-8 text, of at most 256 KiB"))
            }
        }
    }
    if broken.is_empty() { Ok(files) } else { Err(broken) }
}

/// Why a file of the folder cannot be used.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// Larger than [`MAX_FILE`].
    #[error("the file is too large")]
    TooLarge,
}

fn read_file(path: &Path) -> Result<String, FileError> {
    if fs::metadata(path)?.len() > MAX_FILE {
        return Err(FileError::TooLarge);
    }
    Ok(fs::read_to_string(path)?)
}

#[cfg(test)]
mod tests {
    use super::super::SignedInPage;
    use super::*;

    fn with(files: &[(&str, &str)]) -> Result<Theme, Vec<BrokenFile>> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Theme::with_folder(folder.path())
    }

    fn rendered(theme: &Theme, language: usize) -> String {
        let brand = context! { name => "Shop", beside_logo => "Shop", logo => "x" };
        let addresses = super::super::Addresses::samples();
        let around = super::super::shared_variables(brand, super::super::stylesheet("", ""), &addresses);
        let page = Page::SignedIn(SignedInPage {
            user: "alice",
            next: "/",
            switch: "/",
            came_back: false,
            sessions: "",
            password: None,
        });
        theme.render(Language(language), &page, &around).unwrap()
    }

    #[test]
    fn the_built_in_pages_render_in_every_language() {
        let theme = Theme::built_in().unwrap();
        assert_eq!(theme.tags, ["en", "de"]);
        assert!(rendered(&theme, 0).contains("<html lang=\"en\"") && rendered(&theme, 0).contains("Sign out"));
        assert!(rendered(&theme, 1).contains("<html lang=\"de\"") && rendered(&theme, 1).contains("Abmelden"));
    }

    #[test]
    fn english_and_german_have_the_same_keys() {
        let (english, german) = (Catalogue::parse(ENGLISH).unwrap(), Catalogue::parse(GERMAN).unwrap());
        assert_eq!(english.not_in(GERMAN), Vec::<String>::new());
        assert_eq!(german.not_in(ENGLISH), Vec::<String>::new());
        assert!(english.overlaid(GERMAN).is_ok() && german.overlaid(ENGLISH).is_ok());
    }

    #[test]
    fn a_folder_overrides_the_built_in_theme() {
        let theme = with(&[
            ("signed_in.html", "{% include \"imprint.html\" %} {{ t('login.title') }} {{ brand.name }}"),
            ("imprint.html", "Imprint of {{ user }}"),
            ("fr.toml", "login.title = \"Connexion\""),
            ("de.toml", "login.title = \"Einlass\""),
            ("style.css", "body { color: red }"),
            ("README", "{{ not a template"),
        ]);
        let theme = theme.unwrap();
        assert_eq!(theme.tags, ["en", "de", "fr"]);
        let pages = [0, 1, 2].map(|language| rendered(&theme, language));
        assert_eq!(pages, ["Sign in", "Einlass", "Connexion"].map(|title| format!("Imprint of alice {title} Shop")));
        assert_eq!(theme.style(), "body { color: red }");
        let [(file, left)] = theme.untranslated() else { panic!("{:?}", theme.untranslated()) };
        assert!(file.ends_with("fr.toml") && left.contains(&"login.user".to_owned()));
        assert!(!left.contains(&"login.title".to_owned()));
    }

    #[test]
    fn forms_of_templates_are_checked() {
        assert_eq!(Theme::built_in().unwrap().form_problems(), [], "the forms of the built-in templates are correct");
        let theme = with(&[
            ("login.html", "<form method=\"post\" action=\"{{ login }}\"></form>"),
            ("goodbye.html", "{% include \"search.html\" %}"),
            ("search.html", "<form action=\"https://search.test/\"></form>"),
        ]);
        let theme = theme.unwrap();
        let message: Vec<_> = theme.form_problems().iter().map(|problem| problem.message.as_str()).collect();
        let [fragment, elsewhere] = message[..] else { panic!("{message:?}") };
        assert!(fragment.contains("form of login.html has an action"), "{fragment}");
        assert!(elsewhere.contains("goodbye.html is sent to https://search.test/"), "{elsewhere}");
    }

    #[test]
    fn broken_templates_are_reported_with_their_position() {
        let cases: [(&str, &str, Option<&str>, &str); 9] = [
            ("login.html", "<p>{{ usr }}</p>", Some("usr"), "undefined value"),
            ("login.html", "{% if user %}\n{{ nxt }}{% endif %}", Some("nxt"), "undefined value"),
            ("goodbye.html", "{% for step in receipt.steps %}{% endfor %}", Some("receipt.steps"), "undefined"),
            ("layout.html", "<p>\n{% block main %}", None, "syntax error"),
            ("refused.html", "{{ t('refused.agian') }}", Some("t('refused.agian')"), "unknown text refused.agian"),
            ("login.html", "{% include 'gone.html' %}", None, "template not found"),
            (
                "login.html",
                "{% for x in range(9000) %}{% for y in range(9000) %}{% endfor %}{% endfor %}",
                None,
                "fuel",
            ),
            ("logn.html", "", None, "no page uses a file of this name"),
            ("french.toml", "", None, "no page uses a file of this name"),
        ];
        for (name, text, place, what) in cases {
            let broken = with(&[(name, text)]).unwrap_err();
            let [BrokenFile { path, problems, .. }] = broken.as_slice() else { panic!("{name}: {broken:?}") };
            assert!(path.ends_with(name), "{path:?}");
            assert!(problems[0].message.contains(what), "{name}: {problems:?}");
            if let Some(place) = place {
                assert_eq!(problems[0].span.clone().map(|span| &text[span]), Some(place), "{problems:?}");
            }
        }
    }

    #[test]
    fn a_failing_template_falls_back_to_the_built_in_one() {
        let theme = with(&[("signed_in.html", "{% if user == \"alice\" %}{{ gone }}{% endif %}Hello")]).unwrap();
        assert!(rendered(&theme, 0).contains("You are signed in"));
    }

    #[test]
    fn a_path_that_is_not_a_folder_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Theme::with_folder(&folder.path().join("gone")).is_err());
        fs::write(folder.path().join("login.html"), b"\xff").unwrap();
        assert!(Theme::with_folder(folder.path()).unwrap_err()[0].problems[0].message.contains("UTF-8"));
        fs::write(folder.path().join("login.html"), " ".repeat(300_000)).unwrap();
        assert!(Theme::with_folder(folder.path()).unwrap_err()[0].problems[0].message.contains("too large"));
    }
}
