//! The operator's brand on the pages: name, logo, accent colour.

use bytes::Bytes;
use thiserror::Error;

use super::colour::Colour;

/// The largest logo, in bytes.
pub const MAX_LOGO: usize = 256 * 1024;
/// The longest name, in characters.
const MAX_NAME: usize = 60;
/// The default accent colour: the green of emergency exit signs.
const DEFAULT_COLOUR: &str = "#17694e";

/// Name, picture and colour of every page.
#[derive(Clone, Debug)]
pub struct Brand {
    /// The brand of the pages.
    pub(crate) name: String,
    /// The accent colour.
    pub(crate) colour: Colour,
    /// The operator's logo; without one the gateway's own is shown beside the name.
    pub(crate) logo: Option<Logo>,
}

impl Default for Brand {
    fn default() -> Self {
        let colour = Colour::parse(DEFAULT_COLOUR).unwrap_or(super::colour::BLACK);
        Self { name: "Exeunt".to_owned(), colour, logo: None }
    }
}

/// Why a text is not a valid name. Its message says what to write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("write \"{fitting}\": 1 to {MAX_NAME} characters, without spaces around")]
pub(crate) struct BrandNameError {
    /// A valid name that is close to it.
    fitting: String,
}

impl Brand {
    /// A name that fits a page.
    pub(crate) fn parse_name(text: &str) -> Result<String, BrandNameError> {
        let fitting: String = text.trim().chars().filter(|sign| !sign.is_control()).take(MAX_NAME).collect();
        let fitting = fitting.trim();
        if fitting == text && !text.is_empty() {
            return Ok(text.to_owned());
        }
        let fitting = if fitting.is_empty() { "Exeunt" } else { fitting };
        Err(BrandNameError { fitting: fitting.to_owned() })
    }

    /// The picture on every page.
    pub(super) fn picture(&self) -> Logo {
        self.logo.clone().unwrap_or_else(|| Logo { media_type: SVG, bytes: mark(self.colour).into() })
    }
}

/// A picture that browsers can show.
#[derive(Clone, PartialEq, Eq)]
pub struct Logo {
    pub(super) media_type: &'static str,
    pub(super) bytes: Bytes,
}

impl std::fmt::Debug for Logo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Logo({}, {} bytes)", self.media_type, self.bytes.len())
    }
}

const SVG: &str = "image/svg+xml";

/// Why a file is not a valid logo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum LogoError {
    /// Larger than [`MAX_LOGO`].
    #[error("it has {length} bytes; more than {MAX_LOGO} are too many for a logo")]
    TooLarge {
        /// Its size in bytes.
        length: usize,
    },
    /// A format that not every browser shows.
    #[error("not a PNG, JPEG, GIF, WebP or SVG picture")]
    Format,
}

impl Logo {
    /// Takes the bytes of a picture. Its type is detected from its first bytes, not from the name.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, LogoError> {
        if bytes.len() > MAX_LOGO {
            return Err(LogoError::TooLarge { length: bytes.len() });
        }
        let media_type = media_type(&bytes).ok_or(LogoError::Format)?;
        Ok(Self { media_type, bytes: bytes.into() })
    }
}

/// The registered signatures (PNG 3 5.2, ITU-T T.81 B.1.1.3, GIF89a 17, RFC 9649 2.4); SVG is text with its element.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => {
            let text = std::str::from_utf8(bytes).ok()?;
            let text = text.trim_start_matches('\u{feff}').trim_start();
            let begins = ["<svg", "<?xml", "<!--", "<!DOCTYPE svg"].iter().any(|start| text.starts_with(start));
            (begins && text.contains("<svg")).then_some(SVG)
        }
    }
}

/// The gateway's logo: an open door.
fn mark(colour: Colour) -> String {
    let ink = colour.readable_text();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 40 40\">\
         <rect width=\"40\" height=\"40\" rx=\"10\" fill=\"{colour}\"/>\
         <path d=\"M11 30V10.5h18V30\" fill=\"none\" stroke=\"{ink}\" stroke-width=\"2.4\" stroke-linejoin=\"round\" \
         stroke-linecap=\"round\" opacity=\".55\"/>\
         <path d=\"M11 10.5 21.5 14v19L11 30Z\" fill=\"{ink}\" stroke=\"{ink}\" stroke-width=\"2.4\" \
         stroke-linejoin=\"round\"/><circle cx=\"18\" cy=\"23.4\" r=\"1.5\" fill=\"{colour}\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_detected_by_their_bytes() {
        let cases: [(&[u8], Option<&str>); 10] = [
            (b"\x89PNG\r\n\x1a\nrest", Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF89a...", Some("image/gif")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"<svg xmlns='x'/>", Some("image/svg+xml")),
            ("\u{feff}<?xml version='1.0'?>\n<svg/>".as_bytes(), Some("image/svg+xml")),
            (b"<?xml version='1.0'?><html/>", None),
            (b"<p><svg/></p>", None),
            (b"", None),
            (b"<svg \xff", None),
        ];
        for (bytes, want) in cases {
            assert_eq!(Logo::parse(bytes.to_vec()).ok().map(|logo| logo.media_type), want, "{bytes:?}");
        }
        let mut large = b"\x89PNG\r\n\x1a\n".to_vec();
        large.resize(MAX_LOGO, 0);
        assert!(Logo::parse(large.clone()).is_ok());
        large.push(0);
        assert_eq!(Logo::parse(large).unwrap_err(), LogoError::TooLarge { length: 262_145 });
    }

    #[test]
    fn the_default_logo_is_a_picture() {
        let picture = Brand::default().picture();
        assert_eq!(Logo::parse(picture.bytes.to_vec()).unwrap(), picture);
    }

    #[test]
    fn names_fit_a_page() {
        assert!(Brand::parse_name("Bücher & Söhne").is_ok());
        for name in ["", " a", "a\n", &"x".repeat(MAX_NAME + 1)] {
            assert!(Brand::parse_name(name).is_err(), "{name}");
        }
    }
}
