//! Forms as `multipart/form-data` (RFC 7578), which `curl -F` sends. Fields are read; files are not.

/// The boundary a content type names, if it is that of such a form.
pub fn boundary(content_type: &str) -> Option<&str> {
    let (media_type, parameters) = content_type.split_once(';')?;
    if !media_type.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameter(parameters, "boundary").filter(|boundary| !boundary.is_empty())
}

/// The fields of a form, up to what cannot be read.
pub fn fields(body: &[u8], boundary: &str) -> Vec<(String, String)> {
    let delimiter = format!("\r\n--{boundary}");
    let mut fields = Vec::new();
    // Nothing need stand before the first delimiter, not even a line end.
    let mut rest = match body.strip_prefix(&delimiter.as_bytes()[2..]) {
        Some(rest) => rest,
        None => split(body, delimiter.as_bytes()).map_or(&[][..], |(_, rest)| rest),
    };
    // Behind the last delimiter stand two dashes.
    while !rest.starts_with(b"--")
        && let Some((_, part)) = split(rest, b"\r\n")
        && let Some((part, behind)) = split(part, delimiter.as_bytes())
    {
        fields.extend(field(part));
        rest = behind;
    }
    fields
}

/// The name and value of a part that is a field.
fn field(part: &[u8]) -> Option<(String, String)> {
    let (head, value) = split(part, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(head);
    let mut dispositions = head.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    let (kind, parameters) = dispositions.next()?.split_once(';')?;
    let is_field =
        kind.trim().eq_ignore_ascii_case("form-data") && parameter(parameters, "filename").is_none();
    let name = parameter(parameters, "name").filter(|_| is_field)?;
    Some((name.to_owned(), String::from_utf8_lossy(value).into_owned()))
}

/// The value of a parameter among `a=b; c="d"`. Quotes within quotes occur in no name of this API.
fn parameter<'a>(parameters: &'a str, wanted: &str) -> Option<&'a str> {
    let mut pairs = parameters.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))?;
    let value = value.trim();
    Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// What stands before and behind the first `separator`.
fn split<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memchr::memmem::find(bytes, separator)?;
    Some((&bytes[..at], &bytes[at + separator.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_is_that_of_a_form() {
        assert_eq!(boundary("multipart/form-data; boundary=x"), Some("x"));
        assert_eq!(boundary("Multipart/Form-Data; charset=a; Boundary=\"x y\""), Some("x y"));
        for other in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=x"]
        {
            assert_eq!(boundary(other), None, "{other}");
        }
    }

    fn read(body: &str) -> Vec<(String, String)> {
        fields(body.as_bytes(), "x")
    }

    #[test]
    fn fields_are_read_and_files_are_not() {
        let body = "preamble\r\n--x \r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nup{a=\"--x\"}\r\n\r\n\
                    --x\r\ncontent-type: text/plain\r\ncontent-disposition: form-data; name=time\r\n\r\n7\r\n\
                    --x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\nfile\r\n--x--\r\nepilogue";
        let expected = [("query", "up{a=\"--x\"}\r\n"), ("time", "7")];
        assert_eq!(read(body), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(read(&body["preamble\r\n".len()..]).len(), 2);
    }

    #[test]
    fn what_is_cut_off_is_left_out() {
        let part = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
        assert_eq!(read(&format!("{part}--x")).len(), 1);
        let whole = format!("{part}{part}--x--");
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).len() <= 2, "{end}");
        }
        for odd in ["", "--x--", "--x\r\n", "--x\r\n\r\n--x--", "--x\r\nname\r\n\r\n1\r\n--x--"] {
            assert_eq!(read(odd), [], "{odd:?}");
        }
    }
}
