//! A parser for the date of `Expires`, as lenient as browsers (RFC 6265 5.1.1).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const MONTHS: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

#[derive(Default)]
struct Parts {
    time: Option<[i8; 3]>,
    day: Option<i8>,
    month: Option<i8>,
    year: Option<i16>,
}

/// The date in seconds since 1970; `None` if it is not valid. A date before 1970 is 0.
pub(super) fn parse(text: &[u8]) -> Option<u64> {
    let mut parts = Parts::default();
    text.split(|byte| is_delimiter(*byte)).filter(|token| !token.is_empty()).for_each(|token| parts.take(token));
    let year = match parts.year? {
        year @ 70..=99 => year + 1900,
        year @ 0..=69 => year + 2000,
        year => year,
    };
    let [hour, minute, second] = parts.time?;
    let date = DateTime::new(year, parts.month?, parts.day?, hour, minute, second, 0).ok()?;
    // The last days of the year 9999, which are used for "never", are beyond the range of the library.
    let seconds = TimeZone::UTC.to_timestamp(date).unwrap_or(Timestamp::MAX).as_second();
    (year >= 1601).then(|| u64::try_from(seconds).unwrap_or(0))
}

impl Parts {
    fn take(&mut self, token: &[u8]) {
        if self.time.is_none()
            && let Some(time) = time(token)
        {
            self.time = Some(time);
        } else if self.day.is_none()
            && let Some(day) = number(token, 1..=2)
        {
            self.day = i8::try_from(day).ok();
        } else if self.month.is_none()
            && let Some(month) = month(token)
        {
            self.month = Some(month);
        } else if self.year.is_none()
            && let Some(year) = number(token, 2..=4)
        {
            self.year = Some(year);
        }
    }
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'/' | b';'..=b'@' | b'['..=b'`' | b'{'..=b'~')
}

fn time(token: &[u8]) -> Option<[i8; 3]> {
    let mut fields = token.splitn(3, |byte| *byte == b':');
    let mut field = || i8::try_from(number(fields.next()?, 1..=2)?).ok();
    Some([field()?, field()?, field()?])
}

fn month(token: &[u8]) -> Option<i8> {
    let name = token.first_chunk::<3>()?.to_ascii_lowercase();
    MONTHS.iter().zip(1..).find(|(month, _)| month.as_slice() == name).map(|(_, number)| number)
}

/// The number at the beginning of a token, if it has one of these numbers of digits.
fn number(token: &[u8], digits: std::ops::RangeInclusive<usize>) -> Option<i16> {
    let count = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let digits = digits.contains(&count).then(|| token.get(..count)).flatten()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_browsers_do() {
        const AT: u64 = 784_111_777;
        let cases = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(AT)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(AT)),
            ("Sun Nov  6 08:49:37 1994", Some(AT)),
            ("6 november 1994 8:49:37", Some(AT)),
            ("08:49:37 06-nov-1994", Some(AT)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 01-Jan-1960 00:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_207_200)),
            ("Tue, 31 Feb 2026 00:00:00 GMT", None),
            ("Tue, 01 Jan 1600 00:00:00 GMT", None),
            ("Tue, 01 Jan 2026 24:00:00 GMT", None),
            ("01 Jan 2026", None),
            ("tomorrow", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(parse(text.as_bytes()), want, "{text}");
        }
    }
}
