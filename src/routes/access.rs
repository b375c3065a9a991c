//! Who may use a route.

/// What a route requires of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing. A signed-in user's identity is still sent to the application.
    Public,
    /// A signed-in user.
    SignedIn,
    /// A user in one of these groups, compared case-sensitively. Never empty.
    Groups(Vec<String>),
}
