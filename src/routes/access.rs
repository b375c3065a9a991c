//! Who may use a route.

/// What a route asks of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing. Whoever is signed in is still told to the application.
    Public,
    /// Somebody who is signed in.
    SignedIn,
    /// Somebody who is in one of these groups, compared letter by letter. Never empty.
    Groups(Vec<String>),
}
