//! The reasons for refusals, with stable ids for log, audit, metrics and JSON.

use std::borrow::Cow;

use http::StatusCode;

/// Why a request is refused. The ids are stable, since operators' alerts depend on them; new ones may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request target is not a path, or programs read it differently.
    TargetAmbiguous,
    /// The head is malformed or contradictory: framing, `Host`, `Expect`.
    HeadMalformed,
    /// There is no `Host`.
    HostMissing,
    /// The `Host` is not a name that this gateway serves.
    HostNotServed,
    /// The route, or any route, does not allow the method.
    MethodNotAllowed,
    /// `Expect` has another value than `100-continue`.
    ExpectationUnknown,
    /// The head has too many fields, or too many bytes.
    HeadTooLarge,
    /// With the cookies in the vault, the `Cookie` header for the application would exceed its limit.
    CookiesTooLong,
    /// The request line alone exceeds the size limit of a head.
    TargetTooLong,
    /// The head did not arrive in time.
    HeadTooSlow,
    /// The version of HTTP is not supported.
    VersionNotSupported,
    /// The chunked framing of the request body is invalid.
    BodyMalformed,
    /// The request body stopped arriving, or arrived below the minimum rate.
    BodyTooSlow,
    /// The session has its maximum number of concurrent requests.
    SessionBusy,
    /// The maximum number of connections is open.
    TooManyConnections,
    /// The maximum number of connections from this address is open.
    AddressBusy,
    /// No route matches this host and path.
    NoRoute,
    /// The route requires a session.
    SignInRequired,
    /// The user is in none of the groups of the route.
    GroupMissing,
    /// A request from another site that only the gateway's own pages may make (CSRF).
    CrossSite,
    /// The destination of a WebDAV request is outside of its route.
    DestinationRefused,
    /// The destination of a WebDAV request is on another server.
    DestinationForeign,
    /// A WebSocket handshake from a page of another origin.
    SocketOrigin,
    /// The script of a service worker whose scope includes the gateway's own pages.
    ServiceWorker,
    /// A WebSocket handshake with another version than 13.
    SocketVersion,
    /// A sign-out by GET that is not a navigation by the user: an image, a frame, a script, a prefetch.
    NotANavigation,
    /// A program tried to sign out by GET.
    LogoutByGet,
    /// A hand-over code is invalid: it has expired, was used, or belongs to another browser or host.
    HandOverRefused,
    /// Wrong user name or password, or a disabled account.
    CredentialsWrong,
    /// Too many wrong passwords for this account or from this address. During the ban no password is checked.
    TooManyAttempts,
    /// The form cannot be parsed: wrong type, invalid encoding, a field missing or repeated.
    FormMalformed,
    /// The form is larger than `limits.login_body`.
    FormTooLarge,
    /// The body did not arrive completely.
    BodyIncomplete,
    /// The queue of password checks is full.
    SignInBusy,
    /// Too many sign-ins of this account, or from this address, are queued.
    SignInCrowded,
    /// The new password is too short, too long, the old one, or the user's name.
    NewPasswordUnfit,
    /// The two entries of the new password differ.
    NewPasswordsDiffer,
    /// The users file could not be changed, or was changed meanwhile.
    PasswordNotChanged,
    /// The session table is full.
    SessionsFull,
    /// The session store did not confirm in time.
    StoreUnavailable,
    /// No upstream of the route could be reached.
    UpstreamUnreachable,
    /// The upstream's answer is not valid HTTP, or ended within its head.
    UpstreamBroken,
    /// The upstream did not answer in time.
    UpstreamTooSlow,
    /// The request had already been forwarded by this gateway.
    UpstreamLoop,
    /// An error in the gateway itself. Must stay the last variant, from which the number of variants is computed.
    Internal,
}

impl Reason {
    /// All reasons, in their order.
    pub(crate) const ALL: [Self; Self::Internal as usize + 1] = [
        Self::TargetAmbiguous,
        Self::HeadMalformed,
        Self::HostMissing,
        Self::HostNotServed,
        Self::MethodNotAllowed,
        Self::ExpectationUnknown,
        Self::HeadTooLarge,
        Self::CookiesTooLong,
        Self::TargetTooLong,
        Self::HeadTooSlow,
        Self::VersionNotSupported,
        Self::BodyMalformed,
        Self::BodyTooSlow,
        Self::SessionBusy,
        Self::TooManyConnections,
        Self::AddressBusy,
        Self::NoRoute,
        Self::SignInRequired,
        Self::GroupMissing,
        Self::CrossSite,
        Self::DestinationRefused,
        Self::DestinationForeign,
        Self::SocketOrigin,
        Self::ServiceWorker,
        Self::SocketVersion,
        Self::NotANavigation,
        Self::LogoutByGet,
        Self::HandOverRefused,
        Self::CredentialsWrong,
        Self::TooManyAttempts,
        Self::FormMalformed,
        Self::FormTooLarge,
        Self::BodyIncomplete,
        Self::SignInBusy,
        Self::SignInCrowded,
        Self::NewPasswordUnfit,
        Self::NewPasswordsDiffer,
        Self::PasswordNotChanged,
        Self::SessionsFull,
        Self::StoreUnavailable,
        Self::UpstreamUnreachable,
        Self::UpstreamBroken,
        Self::UpstreamTooSlow,
        Self::UpstreamLoop,
        Self::Internal,
    ];

    /// The stable id.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::TargetAmbiguous => "target_ambiguous",
            Self::HeadMalformed => "head_malformed",
            Self::HostMissing => "host_missing",
            Self::HostNotServed => "host_not_served",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::ExpectationUnknown => "expectation_unknown",
            Self::HeadTooLarge => "head_too_large",
            Self::CookiesTooLong => "cookies_too_long",
            Self::TargetTooLong => "target_too_long",
            Self::HeadTooSlow => "head_too_slow",
            Self::VersionNotSupported => "version_not_supported",
            Self::BodyMalformed => "body_malformed",
            Self::BodyTooSlow => "body_too_slow",
            Self::SessionBusy => "session_busy",
            Self::TooManyConnections => "too_many_connections",
            Self::AddressBusy => "address_busy",
            Self::NoRoute => "no_route",
            Self::SignInRequired => "sign_in_required",
            Self::GroupMissing => "group_missing",
            Self::CrossSite => "cross_site",
            Self::DestinationRefused => "destination_refused",
            Self::DestinationForeign => "destination_foreign",
            Self::SocketOrigin => "socket_origin",
            Self::ServiceWorker => "service_worker",
            Self::SocketVersion => "socket_version",
            Self::NotANavigation => "not_a_navigation",
            Self::LogoutByGet => "logout_by_get",
            Self::HandOverRefused => "hand_over_refused",
            Self::CredentialsWrong => "credentials_wrong",
            Self::TooManyAttempts => "too_many_attempts",
            Self::FormMalformed => "form_malformed",
            Self::FormTooLarge => "form_too_large",
            Self::BodyIncomplete => "body_incomplete",
            Self::SignInBusy => "sign_in_busy",
            Self::SignInCrowded => "sign_in_crowded",
            Self::NewPasswordUnfit => "new_password_unfit",
            Self::NewPasswordsDiffer => "new_passwords_differ",
            Self::PasswordNotChanged => "password_not_changed",
            Self::SessionsFull => "sessions_full",
            Self::StoreUnavailable => "store_unavailable",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamBroken => "upstream_broken",
            Self::UpstreamTooSlow => "upstream_too_slow",
            Self::UpstreamLoop => "upstream_loop",
            Self::Internal => "internal",
        }
    }

    /// The status of the answer.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::TargetAmbiguous
            | Self::HeadMalformed
            | Self::HostMissing
            | Self::BodyMalformed
            | Self::CookiesTooLong
            | Self::FormMalformed
            | Self::NewPasswordUnfit
            | Self::NewPasswordsDiffer
            | Self::BodyIncomplete => StatusCode::BAD_REQUEST,
            Self::PasswordNotChanged => StatusCode::CONFLICT,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooSlow | Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::VersionNotSupported => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::HostNotServed => StatusCode::MISDIRECTED_REQUEST,
            Self::MethodNotAllowed | Self::LogoutByGet => StatusCode::METHOD_NOT_ALLOWED,
            Self::SocketVersion => StatusCode::UPGRADE_REQUIRED,
            Self::ExpectationUnknown => StatusCode::EXPECTATION_FAILED,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::SignInRequired | Self::CredentialsWrong => StatusCode::UNAUTHORIZED,
            Self::GroupMissing
            | Self::CrossSite
            | Self::DestinationRefused
            | Self::SocketOrigin
            | Self::ServiceWorker
            | Self::HandOverRefused
            | Self::NotANavigation => StatusCode::FORBIDDEN,
            Self::TooManyAttempts | Self::SignInCrowded | Self::SessionBusy => StatusCode::TOO_MANY_REQUESTS,
            Self::FormTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SignInBusy
            | Self::SessionsFull
            | Self::StoreUnavailable
            | Self::TooManyConnections
            | Self::AddressBusy => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamUnreachable | Self::UpstreamBroken | Self::DestinationForeign => StatusCode::BAD_GATEWAY,
            Self::UpstreamTooSlow => StatusCode::GATEWAY_TIMEOUT,
            Self::UpstreamLoop => StatusCode::LOOP_DETECTED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The message in the answer.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::TargetAmbiguous => "This address can be read in more than one way, so it was not passed on.",
            Self::HeadMalformed => "This request contradicts itself, so it was not passed on.",
            Self::HostMissing => {
                "This request has no Host header. Send the name that browsers ask for: health checks over HTTP/1.0 too."
            }
            Self::HostNotServed => {
                "This host name is not served here. The names that are, and what to write in a proxy in front, are in \
                 the gateway's log, and `exeunt check` shows them."
            }
            Self::MethodNotAllowed => "This method is not allowed here.",
            Self::ExpectationUnknown => "The only expectation that is supported is 100-continue.",
            Self::HeadTooLarge => "The head of this request is too large.",
            Self::CookiesTooLong => "The cookies of this application are too long together.",
            Self::TargetTooLong => "This address is too long.",
            Self::HeadTooSlow => "The request did not arrive in time.",
            Self::VersionNotSupported => "The supported versions of HTTP are 1.0 and 1.1.",
            Self::BodyMalformed => "The body of this request is not framed correctly.",
            Self::BodyTooSlow => "The body of this request did not arrive in time.",
            Self::SessionBusy => "Too many requests are running in this session. Try again shortly.",
            Self::TooManyConnections => "Too many connections are open. Try again shortly.",
            Self::AddressBusy => "Too many connections are open from your address. Try again shortly.",
            Self::NoRoute => "There is nothing at this address.",
            Self::SignInRequired => "Sign in to see this.",
            Self::GroupMissing => "You are signed in, but your account may not see this.",
            Self::CrossSite => "Another web site sent this request. Nothing was done.",
            Self::DestinationRefused => {
                "This request names a second address that does not belong to the same application."
            }
            Self::DestinationForeign => "Nothing can be written to another server from here.",
            Self::SocketOrigin => "A page of another web site tried to open this connection.",
            Self::ServiceWorker => "A service worker here could answer in place of the sign-in page.",
            Self::SocketVersion => "The only supported version of WebSocket is 13.",
            Self::NotANavigation => "Signing out needs a click by a person. Nothing was done.",
            Self::LogoutByGet => "Sign out with POST: curl -X POST.",
            Self::HandOverRefused => {
                "This sign-in took too long, or was begun in another browser, or this browser keeps no cookies."
            }
            Self::CredentialsWrong => "Wrong user name or password.",
            Self::TooManyAttempts => "Too many attempts to sign in. Try again later.",
            Self::FormMalformed => "The form could not be read: send username and password, each once.",
            Self::FormTooLarge => "The form is too large.",
            Self::BodyIncomplete => "The request's body did not arrive.",
            Self::SignInBusy => "Too many people are signing in right now. Try again shortly.",
            Self::SignInCrowded => {
                "Too many sign-ins of this account or from this address are waiting. Try again shortly."
            }
            Self::NewPasswordUnfit => "Choose at least 8 characters: not the old password, and not your user name.",
            Self::NewPasswordsDiffer => "The two new passwords are not the same. Nothing was changed.",
            Self::PasswordNotChanged => "The password was not changed. The server's log says why.",
            Self::SessionsFull => "Too many people are signed in right now. Try again later.",
            Self::StoreUnavailable => "The session store does not answer. Try again shortly.",
            Self::UpstreamUnreachable => "The application cannot be reached right now.",
            Self::UpstreamBroken => "The application sent an answer that cannot be passed on.",
            Self::UpstreamTooSlow => "The application did not answer in time.",
            Self::UpstreamLoop => "The upstream of this route leads back to this gateway.",
            Self::Internal => "Something went wrong in the gateway.",
        }
    }
}

/// A refusal with its details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The reason.
    pub(crate) reason: Reason,
    /// The message in the answer. It never contains a secret.
    pub(crate) message: Cow<'static, str>,
    /// The number of seconds after which the request may be repeated, if known.
    pub(crate) retry_after: Option<u64>,
    /// The part of the request that is the cause, for the access line.
    pub(crate) because: Option<Box<str>>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, message: Cow::Borrowed(reason.message()), retry_after: None, because: None }
    }
}
