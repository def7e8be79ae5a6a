use super::super::{ContentError, fields};
use ::http::{HeaderMap, HeaderName, HeaderValue, header};

/// More headers than this has no part of a form.
const MOST_HEADERS: usize = 32;

/// A file system takes names of 255 bytes; some are left for a number.
const LONGEST_NAME: usize = 240;

/// The head of a part: a field of the form, or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    headers: HeaderMap,
    name: String,
    file_name: Option<String>,
}

impl Part {
    /// `head` ends with an empty line.
    pub(super) fn parse(head: &[u8]) -> Result<Self, ContentError> {
        let mut raw = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let lines = match httparse::parse_headers(head, &mut raw) {
            Ok(httparse::Status::Complete((_, lines))) => lines,
            Err(httparse::Error::TooManyHeaders) => {
                return Err(ContentError::TooMany { what: "headers" });
            }
            _ => return Err(ContentError::malformed("a part has a malformed head")),
        };
        let mut headers = HeaderMap::with_capacity(lines.len());
        for line in lines {
            let name = HeaderName::from_bytes(line.name.as_bytes());
            let value = HeaderValue::from_bytes(line.value);
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err(ContentError::malformed("a part has a malformed head"));
            };
            headers.append(name, value);
        }
        let disposition = fields::only(&headers, &header::CONTENT_DISPOSITION).unwrap_or_default();
        let kind = fields::essence(disposition);
        let text = |name| {
            let value = fields::param(disposition, name)?;
            Some(String::from_utf8_lossy(&value).into_owned())
        };
        let name = text("name").filter(|_| kind.eq_ignore_ascii_case(b"form-data"));
        let file_name = text("filename");
        let name = name.ok_or_else(|| ContentError::malformed("a part has no name"))?;
        Ok(Part {
            headers,
            name,
            file_name,
        })
    }

    /// The name of the field, as it was sent; what is not UTF-8 becomes U+FFFD.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the file, as it was sent: it may be empty, a path, or anything. `None` when it
    /// is no file.
    pub fn file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }

    /// The name of the file, made harmless: the last name of a path, not hidden, not long, without
    /// what has a meaning to a shell or a system. `None` when it is no file, or nothing is left.
    pub fn safe_file_name(&self) -> Option<String> {
        safe(self.file_name()?)
    }

    /// What it says to be, such as `image/png`.
    pub fn content_type(&self) -> Option<&str> {
        let value = fields::only(&self.headers, &header::CONTENT_TYPE)?;
        str::from_utf8(value).ok()
    }

    /// All its headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

fn safe(path: &str) -> Option<String> {
    let name = path.rsplit(['/', '\\']).next()?;
    let harmless = |c: char| match c {
        '"' | '*' | ':' | '<' | '>' | '?' | '|' => '_',
        // Marks that turn the direction of text make one name look like another.
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '_',
        c if c.is_control() => '_',
        c => c,
    };
    let name: String = name.chars().map(harmless).collect();
    let name = name.trim_matches([' ', '.']);
    if name.is_empty() {
        return None;
    }
    // To Windows these are devices, whatever the ending.
    let stem = name
        .split('.')
        .next()
        .unwrap_or(name)
        .trim_end()
        .to_ascii_uppercase();
    let device = match stem.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" => true,
        _ => {
            stem.len() == 4
                && (stem.starts_with("COM") || stem.starts_with("LPT"))
                && stem.ends_with(|c: char| c.is_ascii_digit())
        }
    };
    let name = if device {
        format!("_{name}")
    } else {
        name.to_owned()
    };
    Some(shorten(name))
}

/// Cuts the middle out, so that the ending stays.
fn shorten(name: String) -> String {
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let dot = name.rfind('.').filter(|&at| name.len() - at <= 20);
    let ending = dot.map_or("", |at| &name[at..]);
    let mut end = LONGEST_NAME - ending.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ending}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(disposition: &str) -> Result<Part, ContentError> {
        Part::parse(format!("Content-Disposition: {disposition}\r\n\r\n").as_bytes())
    }

    #[test]
    fn a_part_has_a_name() {
        let file = part("form-data; name=\"a;b\"; filename=\"x \\\"y\\\".txt\"").unwrap();
        assert_eq!(file.name(), "a;b");
        assert_eq!(file.file_name(), Some("x \"y\".txt"));
        assert_eq!(file.safe_file_name().as_deref(), Some("x _y_.txt"));
        assert_eq!(part("Form-Data; Name=ä").unwrap().name(), "ä");
        for bad in [
            "form-data",
            "attachment; name=a",
            "",
            "form-data; filename=x",
        ] {
            assert!(part(bad).is_err(), "{bad}");
        }
        assert!(Part::parse(b"\r\n").is_err());
        assert!(Part::parse(b"no colon\r\n\r\n").is_err());
        let many = format!("{}\r\n", "A: b\r\n".repeat(33));
        let error = Part::parse(many.as_bytes()).unwrap_err();
        assert_eq!(error, ContentError::TooMany { what: "headers" });
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for (sent, safe_name) in [
            ("photo.jpg", Some("photo.jpg")),
            ("Ünïcode 1.txt", Some("Ünïcode 1.txt")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\Users\\x\\photo.jpg", Some("photo.jpg")),
            ("..", None),
            ("a/..", None),
            (".", None),
            ("", None),
            ("dir/", None),
            (".htaccess", Some("htaccess")),
            ("a\0b\nc", Some("a_b_c")),
            ("a:b", Some("a_b")),
            ("x. . ", Some("x")),
            ("con", Some("_con")),
            ("Com1.txt", Some("_Com1.txt")),
            ("component.txt", Some("component.txt")),
            ("txt\u{202e}exe.jpg", Some("txt_exe.jpg")),
        ] {
            assert_eq!(safe(sent).as_deref(), safe_name, "{sent:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_ending() {
        let name = safe(&format!("{}.tar.gz", "ä".repeat(300))).unwrap();
        assert!(
            name.len() <= LONGEST_NAME && name.ends_with(".gz"),
            "{name}"
        );
        let name = safe(&format!("a.{}", "ä".repeat(300))).unwrap();
        assert!(name.len() <= LONGEST_NAME);
    }
}
