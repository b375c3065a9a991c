//! What is counted.

/// One kind of request to one kind of server.
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    /// Whether the gateway writes a line for each exchange.
    pub access_log: bool,
    /// Sessions in the table.
    pub sessions: usize,
    /// Where they are kept.
    pub store: Store,
    pub request: Request,
}

/// Where sessions are kept, besides the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Store {
    Nowhere,
    /// In a file.
    Sqlite,
    /// On a server.
    Redis,
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// A page of the application, by a browser that is signed in.
    Page,
    /// The same, after the application has set three cookies that the gateway keeps and adds ([`Request::FILL`]).
    Vaulted,
    /// The same page by a program: `Host` and our cookie, nothing else.
    Bare,
    /// The page, by a browser that is not signed in.
    Stranger,
    /// `POST /logout`, each time of another session.
    Logout,
    /// A signed-in browser's request for a path that is costly to check: a beginning, and a piece that is repeated up
    /// to [`MAX_PATH_LENGTH`].
    Path(&'static str, &'static str),
}

/// The longest path with escapes that the gateway accepts, in bytes. It may have 64 slashes.
const MAX_PATH_LENGTH: usize = 1400;

const SILENT: bool = false;
const LOGGING: bool = true;

/// All of them, in the order of the table.
pub const SCENARIOS: [Scenario; 20] = [
    Scenario::new("page", "signed in, 1,000 sessions", SILENT, 1000, Request::Page),
    Scenario::new("page-logged", "the same, with an access line", LOGGING, 1000, Request::Page),
    Scenario::new("page-million", "signed in, 1,000,000 sessions", SILENT, 1_000_000, Request::Page),
    Scenario::new("page-vaulted", "signed in, three cookies in the vault", SILENT, 1000, Request::Vaulted),
    Scenario::kept("page-sqlite", "signed in, sessions in a file", Store::Sqlite),
    Scenario::kept("page-redis", "signed in, sessions on a Redis server", Store::Redis),
    Scenario::new("bare-head", "signed in, a program's short head", SILENT, 1000, Request::Bare),
    Scenario::new("stranger", "sent to the sign-in form", SILENT, 1000, Request::Stranger),
    Scenario::new("logout", "a session ends", SILENT, 1000, Request::Logout),
    Scenario::new("logout-logged", "the same, with an access line", LOGGING, 1000, Request::Logout),
    Scenario::path("path-plain", "a long ordinary path", "/a", "/a"),
    Scenario::path("path-letters", "escaped letters", "/a/", "%d0%91"),
    Scenario::path("path-signs", "escaped signs", "/a/", "%3a"),
    Scenario::path("path-wide", "ornamental letters", "/a/", "%f0%9d%90%9a"),
    Scenario::path("path-parameters", "a parameter behind every name", "/a", "/bbbbbbbbbbbbbbbb;cccccccc"),
    Scenario::path("path-names", "names beyond ASCII, each with a parameter", "/a", "/%e3%81%82%e3%81%82%20;aaa"),
    Scenario::path("path-ligatures", "ligatures after a dot segment", "/a/../", "%ef%ac%80.a"),
    Scenario::path("path-blanks", "trailing blanks after a dot segment", "/a/../", "aaaaaaaaaaaaaaaaaaaaaaa%A0/"),
    Scenario::path("path-dotted", "names with a dot in front and escaped twice", "/a/", "%25e3aaaaaaaaaaaaaaaaaa/.x"),
    Scenario::path("path-voiced", "letters that consist of two", "/a/", "%e3%81%82"),
];

/// The prefix of the names of these scenarios.
pub const PATHS: &str = "path-";

impl Scenario {
    const fn new(name: &'static str, about: &'static str, access_log: bool, sessions: usize, request: Request) -> Self {
        Self { name, about, access_log, sessions, store: Store::Nowhere, request }
    }

    const fn kept(name: &'static str, about: &'static str, store: Store) -> Self {
        Self { store, ..Self::new(name, about, SILENT, 1000, Request::Page) }
    }

    const fn path(name: &'static str, about: &'static str, begin: &'static str, piece: &'static str) -> Self {
        Self::new(name, about, SILENT, 1000, Request::Path(begin, piece))
    }

    /// The scenario of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }
}

/// What a current browser sends with every request.
const BROWSER: &str = "\
Host: localhost\r\n\
Connection: keep-alive\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
Sec-Fetch-Site: same-origin\r\n\
Sec-Fetch-Mode: navigate\r\n\
Sec-Fetch-Dest: document\r\n\
Referer: http://localhost/shop/cart/\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-US,en;q=0.9,de;q=0.8\r\n";

/// The application's own cookie.
const APPLICATION_COOKIE: &str = "sessionid=q3fz0w5yk2m1r8x7b6n4v9c0t5h2j1d8";

impl Request {
    /// The address at which the application sets its three cookies.
    pub const FILL: &str = "/fill";

    /// What is asked once before the counting, by a browser with this session cookie; `None` for most.
    pub fn before(self, session: &str) -> Option<Vec<u8>> {
        let cookie = format!("Cookie: exeunt={session}\r\n\r\n");
        let line = ["GET ", Self::FILL, " HTTP/1.1\r\n"].concat();
        (self == Self::Vaulted).then(|| [&line, BROWSER, &cookie].concat().into_bytes())
    }

    /// The bytes of the request of a browser with this session cookie.
    pub fn bytes(self, session: &str) -> Vec<u8> {
        let cookie = match self {
            Self::Bare => {
                return format!("GET /shop HTTP/1.1\r\nHost: localhost\r\nCookie: exeunt={session}\r\n\r\n").into();
            }
            Self::Stranger => format!("Cookie: {APPLICATION_COOKIE}\r\n"),
            Self::Page | Self::Vaulted | Self::Logout | Self::Path(..) => {
                format!("Cookie: {APPLICATION_COOKIE}; exeunt={session}\r\n")
            }
        };
        let path;
        let (line, rest) = match self {
            Self::Path(begin, piece) => {
                path = format!("GET {begin}{} HTTP/1.1", piece.repeat((MAX_PATH_LENGTH - begin.len()) / piece.len()));
                (path.as_str(), "\r\n")
            }
            Self::Page | Self::Vaulted | Self::Bare | Self::Stranger => ("GET /shop/items/?page=2 HTTP/1.1", "\r\n"),
            Self::Logout => (
                "POST /logout HTTP/1.1",
                "Origin: http://localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                 Content-Length: 11\r\n\r\nnext=%2Fbye",
            ),
        };
        [line, "\r\n", BROWSER, &cookie, rest].concat().into_bytes()
    }

    /// The status that answers it.
    pub fn status(self) -> u16 {
        match self {
            Self::Page | Self::Vaulted | Self::Bare | Self::Path(..) => 200,
            Self::Stranger | Self::Logout => 303,
        }
    }
}
