//! A source file as its lines and its words. Comments are not among the words, strings are words of their own.

use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

use proc_macro2::{Delimiter, Group, LineColumn, TokenStream, TokenTree};

/// One file below `src/`.
pub struct Source {
    /// The path from `src/` on, with `/` between the parts.
    pub path: String,
    pub text: String,
    pub words: Vec<Word>,
}

/// An identifier, a literal, a bracket, or one sign of punctuation (`::` is two words).
#[derive(Clone)]
pub struct Word {
    pub text: String,
    pub line: usize,
    pub literal: bool,
}

/// What a rule has found.
#[derive(Debug)]
pub struct Finding {
    place: String,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let stream: TokenStream = text.parse().unwrap_or_else(|error| panic!("src/{path} cannot be read: {error}"));
        let mut words = Vec::new();
        collect(stream, &mut words);
        Self { path: path.to_owned(), text: text.to_owned(), words }
    }

    pub fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding { place: format!("src/{}:{line}", self.path), what: what.into() }
    }

    /// Whether the file is nothing but tests.
    pub fn is_tests(&self) -> bool {
        self.path.ends_with("tests.rs")
    }

    /// Whether the words from `at` on read like this.
    pub fn reads(&self, at: usize, texts: &[&str]) -> bool {
        let words = self.words.get(at..at + texts.len());
        words.is_some_and(|words| words.iter().zip(texts).all(|(word, text)| word.text == *text && !word.literal))
    }

    /// The positions at which the words read like this.
    pub fn places(&self, texts: &[&str]) -> Vec<usize> {
        (0..self.words.len()).filter(|at| self.reads(*at, texts)).collect()
    }

    /// Whether the word at `at` can stand before a path: `use ::a::B`, `fn ::a::b`.
    pub fn is_keyword(&self, at: usize) -> bool {
        self.words
            .get(at)
            .is_some_and(|word| ["use", "return", "in", "as", "mut", "dyn", "impl"].contains(&&*word.text))
    }

    /// The file without the items that only tests have.
    pub fn outside_tests(&self) -> Self {
        let none = self.is_tests() || self.path.contains("/tests/");
        let words = if none { Vec::new() } else { self.words.clone() };
        let mut outside = Self { path: self.path.clone(), text: String::new(), words };
        while let Some(&at) = outside.places(&["#", "[", "cfg", "(", "test", ")", "]"]).first() {
            let end = outside.end_of_item(at + 7);
            outside.words.drain(at..=end);
        }
        outside
    }

    /// The last word of the item that goes on at `at`: its semicolon, or its closing brace.
    fn end_of_item(&self, at: usize) -> usize {
        let end = (at..self.words.len()).find(|&at| self.reads(at, &[";"]) || self.reads(at, &["{"]));
        let end = end.unwrap_or(self.words.len() - 1);
        if self.reads(end, &["{"]) { self.closing(end) } else { end }
    }

    /// The position of the bracket that closes the one at `open`.
    pub fn closing(&self, open: usize) -> usize {
        let mut depth = 0;
        for (at, word) in self.words.iter().enumerate().skip(open).filter(|(_, word)| !word.literal) {
            match word.text.as_str() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return at;
            }
        }
        panic!("src/{}: a bracket that nothing closes", self.path)
    }
}

fn collect(stream: TokenStream, words: &mut Vec<Word>) {
    let push = |words: &mut Vec<Word>, text: String, start: LineColumn, literal: bool| {
        words.push(Word { text, line: start.line, literal });
    };
    for tree in stream {
        match tree {
            TokenTree::Group(group) if is_doc(&group) => drop_hash(words),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                push(words, open.to_owned(), group.span_open().start(), false);
                collect(group.stream(), words);
                push(words, close.to_owned(), group.span_close().start(), false);
            }
            TokenTree::Ident(ident) => push(words, ident.to_string(), ident.span().start(), false),
            TokenTree::Punct(punct) => push(words, punct.as_char().to_string(), punct.span().start(), false),
            TokenTree::Literal(literal) => push(words, literal.to_string(), literal.span().start(), true),
        }
    }
}

/// A comment with three slashes arrives as `#[doc = "…"]`.
fn is_doc(group: &Group) -> bool {
    let mut inside = group.stream().into_iter();
    let doc = matches!(inside.next(), Some(TokenTree::Ident(name)) if name == "doc");
    doc && matches!(inside.next(), Some(TokenTree::Punct(sign)) if sign.as_char() == '=')
}

/// Takes back the `#` or `#!` in front of a comment.
fn drop_hash(words: &mut Vec<Word>) {
    words.pop_if(|word| word.text == "!");
    words.pop_if(|word| word.text == "#");
}

/// All files below `src/`, read once.
pub fn tree() -> &'static [Source] {
    static TREE: LazyLock<Vec<Source>> = LazyLock::new(|| below("src"));
    &TREE
}

/// All Rust files below a folder of the repository.
pub fn below(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut sources = Vec::new();
    walk(&root, &root, &mut sources);
    sources
}

fn walk(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            sources.push(Source::new(&name, &std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn comments_are_not_words_and_strings_are_one() {
    let source = Source::new("a.rs", "//! unsafe\n/// pingora\nfn a() { /* todo!() */ b(\"c::d\") } // x\n");
    let words: Vec<&str> = source.words.iter().map(|word| word.text.as_str()).collect();
    assert_eq!(words, ["fn", "a", "(", ")", "{", "b", "(", "\"c::d\"", ")", "}"]);
    assert_eq!(source.words.first().unwrap().line, 3);
}
