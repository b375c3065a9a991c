//! The error for request targets that programs read differently.

use std::borrow::Cow;

use super::reason::{Reason, Refusal};

/// The target is ambiguous, or not a valid path. The value is the part of the target that is the cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ambiguous(Cow<'static, str>);

impl Ambiguous {
    /// The cause is a construct that `what` describes.
    pub(crate) const fn because(what: &'static str) -> Self {
        Self(Cow::Borrowed(what))
    }

    /// The cause are these bytes, which are shown as escapes.
    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        Self(Cow::Owned(bytes.iter().map(|byte| format!("%{byte:02X}")).collect()))
    }

    /// The cause: an escape such as `%2F`, or a short description. It contains nothing else of the target.
    pub(crate) fn detail(&self) -> &str {
        &self.0
    }
}

impl From<Ambiguous> for Refusal {
    fn from(ambiguous: Ambiguous) -> Self {
        let message = format!(
            "This address can be read in more than one way because of {}, so it was not passed on.",
            ambiguous.detail()
        );
        let because = Some(ambiguous.detail().into());
        Self { message: message.into(), because, ..Self::from(Reason::TargetAmbiguous) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_names_the_cause() {
        let refusal = Refusal::from(Ambiguous::bytes(&[0xe0, 0x80]));
        assert_eq!(refusal.reason, Reason::TargetAmbiguous);
        assert!(refusal.message.contains("because of %E0%80,"), "{}", refusal.message);
        assert!(Refusal::from(Ambiguous::because("\"//\"")).message.contains("because of \"//\","));
    }
}
