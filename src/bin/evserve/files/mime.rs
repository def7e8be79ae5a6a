//! What a file is, by its name.

use std::path::Path;

/// The type by the name's ending; text is taken for UTF-8.
pub fn mime_of(name: &Path) -> String {
    let mime = mime_guess::from_path(name).first_or_octet_stream();
    let is_text =
        mime.type_() == "text" || matches!(mime.subtype().as_str(), "javascript" | "json");
    match mime.get_param("charset") {
        None if is_text => format!("{mime}; charset=utf-8"),
        _ => mime.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_come_from_the_ending() {
        assert_eq!(mime_of(Path::new("a/b.html")), "text/html; charset=utf-8");
        assert_eq!(mime_of(Path::new("b.js")), "text/javascript; charset=utf-8");
        assert_eq!(mime_of(Path::new("b.png")), "image/png");
        assert_eq!(mime_of(Path::new("noending")), "application/octet-stream");
    }
}
