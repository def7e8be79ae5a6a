use super::*;

const BODY: &[u8] = b"\r\npreamble\r\n--X\r\n\
    Content-Disposition: form-data; name=\"a\"\r\n\r\n\
    one\r\n--\r\n--Y\r\n\r\r\n\r\n--X \t\r\n\
    Content-Disposition: form-data; name=\"b\"; filename=\"f\"\r\n\
    Content-Type: text/plain\r\n\r\n\
    \r\n--X--\r\nepilogue --X\r\n";

/// The parts with their bytes, however these were cut.
fn read(pieces: &[&[u8]], limits: Limits) -> Result<Vec<(String, Vec<u8>)>, ContentError> {
    let mut parser = Parser::with_boundary("X", limits)?;
    let mut parts = Vec::new();
    let mut open = false;
    for piece in pieces {
        let fed = parser.feed(piece, |event| {
            match event {
                Event::Part(part) => {
                    assert!(!open);
                    open = true;
                    parts.push((part.name().to_owned(), Vec::new()));
                }
                Event::Data(bytes) => {
                    assert!(open && !bytes.is_empty());
                    parts.last_mut().unwrap().1.extend_from_slice(bytes);
                }
                Event::End => open = false,
            }
            Ok(())
        });
        match fed {
            Ok(()) => {}
            Err(Error::Content(error)) => return Err(error),
            Err(other) => panic!("{other}"),
        }
    }
    parser.finish()?;
    assert!(!open);
    Ok(parts)
}

fn whole(body: &str) -> Result<Vec<(String, Vec<u8>)>, ContentError> {
    read(&[body.as_bytes()], Limits::new())
}

fn expected() -> Vec<(String, Vec<u8>)> {
    vec![
        ("a".into(), b"one\r\n--\r\n--Y\r\n\r\r\n".to_vec()),
        ("b".into(), Vec::new()),
    ]
}

#[test]
fn the_parts_are_the_same_however_the_body_is_cut() {
    assert_eq!(read(&[BODY], Limits::new()), Ok(expected()));
    for at in 0..=BODY.len() {
        let (one, two) = BODY.split_at(at);
        assert_eq!(read(&[one, two], Limits::new()), Ok(expected()), "{at}");
    }
    for size in 1..40 {
        let pieces: Vec<_> = BODY.chunks(size).collect();
        assert_eq!(read(&pieces, Limits::new()), Ok(expected()), "{size}");
    }
}

#[test]
fn no_more_is_held_than_cannot_be_told_yet() {
    let mut parser = Parser::with_boundary("X", Limits::new()).unwrap();
    let head = b"--X\r\nContent-Disposition: form-data; name=a\r\n\r\n";
    parser.feed(head, |_| Ok(())).unwrap();
    let mut seen = 0;
    for _ in 0..100 {
        let piece = [&[b'x'; 10_000][..], b"\r\n--"].concat();
        let count = |event: Event<'_>| {
            if let Event::Data(bytes) = event {
                seen += bytes.len();
            }
            Ok(())
        };
        parser.feed(&piece, count).unwrap();
        assert_eq!(parser.held, b"\r\n--");
    }
    assert_eq!(seen, 100 * 10_004 - 4);
}

#[test]
fn an_end_that_does_not_come_is_missed() {
    let end = memmem::find(BODY, b"--X--").unwrap();
    for len in 0..end + 5 {
        let cut = read(&[&BODY[..len]], Limits::new());
        assert!(matches!(cut, Err(ContentError::Malformed { .. })), "{len}");
    }
    assert_eq!(read(&[&BODY[..end + 5]], Limits::new()), Ok(expected()));
}

#[test]
fn a_boundary_is_alone_in_its_line() {
    let part = "--X\r\nContent-Disposition: form-data; name=a\r\n\r\n";
    assert!(whole(&format!("{part}b\r\n--Xtra\r\n--X--")).is_err());
    assert!(whole(&format!("{part}b\r\n--X-\r\n--X--")).is_err());
    assert!(whole(&format!("{part}b\r\n--X {}\r\n--X--", " ".repeat(100))).is_err());
    let inside = whole(&format!("{part}b--X--\r\n --X--\n--X--\r\n--X--")).unwrap();
    assert_eq!(inside[0].1, b"b--X--\r\n --X--\n--X--");
    assert_eq!(whole("--X--"), Ok(vec![]));
}

#[test]
fn a_part_without_bytes_may_lack_the_line_between() {
    let part = "--X\r\nContent-Disposition: form-data; name=a\r\n\r\n--X--";
    for at in 0..part.len() {
        let (one, two) = part.as_bytes().split_at(at);
        let empty = Ok(vec![("a".into(), vec![])]);
        assert_eq!(read(&[one, two], Limits::new()), empty, "{at}");
    }
    let dashes = "--X\r\nContent-Disposition: form-data; name=a\r\n\r\n--Y\r\n--X--";
    assert_eq!(whole(dashes), Ok(vec![("a".into(), b"--Y".to_vec())]));
}

#[test]
fn limits_are_kept() {
    let too_long = |limits| read(&[BODY], limits).unwrap_err();
    assert_eq!(
        too_long(Limits::new().parts(1)),
        ContentError::TooMany { what: "parts" }
    );
    let error = too_long(Limits::new().part_bytes(5));
    assert_eq!(error, ContentError::TooLong { what: "a part" });
    let error = too_long(Limits::new().total_bytes(5));
    assert_eq!(error, ContentError::TooLong { what: "content" });
    let error = too_long(Limits::new().header_bytes(20));
    assert_eq!(error.status(), 413);
    let endless = format!("--X\r\nA: {}", "b".repeat(9000));
    assert_eq!(whole(&endless).unwrap_err().status(), 413);
    let preamble = "x".repeat(9000);
    assert_eq!(whole(&preamble).unwrap_err().status(), 400);
}

#[test]
fn what_has_failed_stays_so() {
    let mut parser = Parser::with_boundary("X", Limits::new()).unwrap();
    for _ in 0..2 {
        let fed = parser.feed(b"--X?", |_| Ok(()));
        assert!(matches!(fed, Err(Error::Content(_))));
    }
    assert!(parser.finish().is_err());
}

#[test]
fn a_boundary_is_short_and_visible() {
    for bad in ["", "a ", "a\r\nb", "ä", &"x".repeat(71)] {
        assert!(
            Parser::with_boundary(bad, Limits::new()).is_err(),
            "{bad:?}"
        );
    }
    assert!(Parser::with_boundary(&"x".repeat(70), Limits::new()).is_ok());
    assert!(Parser::with_boundary("a b'()+_,-./:=?", Limits::new()).is_ok());
}

#[test]
fn each_failure_has_its_status() {
    use crate::http::BodyError;
    let full = io::Error::from(io::ErrorKind::StorageFull);
    let broken = io::Error::other("broken");
    for (error, status) in [
        (Error::Io(full), 507),
        (Error::Io(broken), 500),
        (Error::Callback("no".into()), 500),
        (Error::Body(BodyError::TooLong { limit: 1 }), 413),
        (Error::Body(BodyError::Closed), 400),
        (ContentError::TooMany { what: "parts" }.into(), 413),
    ] {
        assert_eq!(error.response().status_code(), status, "{error}");
    }
}
