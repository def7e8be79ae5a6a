use super::*;
use std::time::Duration;

const LEN: u64 = 1000;

fn headers(list: &[(header::HeaderName, &str)]) -> HeaderMap {
    let pair = |(name, value): &(header::HeaderName, &str)| (name.clone(), value.parse().unwrap());
    list.iter().map(pair).collect()
}

fn ask(method: Method, list: &[(header::HeaderName, &str)]) -> Plan {
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let now = modified + Duration::from_secs(1000);
    let validators = Validators::new()
        .etag(ETag::strong("a").unwrap())
        .modified(modified);
    let mut whole = headers(&[
        (header::CONTENT_TYPE, "text/plain"),
        (header::CACHE_CONTROL, "no-cache"),
    ]);
    validators.write(&mut whole, now);
    plan(&validators, LEN, whole, &method, &headers(list), now)
}

fn get(list: &[(header::HeaderName, &str)]) -> Plan {
    ask(Method::GET, list)
}

#[test]
fn without_a_wish_the_whole_file_is_sent() {
    let plan = get(&[]);
    assert_eq!(plan.status, 200);
    assert_eq!(plan.content, Parts::One(0..LEN));
    assert_eq!(plan.headers[header::ETAG], "\"a\"");
    assert!(plan.headers.contains_key(header::LAST_MODIFIED));
}

#[test]
fn one_range_is_sent_bare_and_several_in_parts() {
    let plan = get(&[(header::RANGE, "bytes=0-9")]);
    assert_eq!(plan.status, 206);
    assert_eq!(plan.content, Parts::One(0..10));
    assert_eq!(plan.headers[header::CONTENT_RANGE], "bytes 0-9/1000");
    assert_eq!(plan.headers[header::CONTENT_TYPE], "text/plain");

    let plan = get(&[(header::RANGE, "bytes=0-9,-10")]);
    assert_eq!(plan.status, 206);
    assert!(!plan.headers.contains_key(header::CONTENT_RANGE));
    let mime = plan.headers[header::CONTENT_TYPE].to_str().unwrap();
    let boundary = mime
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let Parts::Several(parts, end) = plan.content else {
        panic!("no parts");
    };
    assert_eq!(parts[0].1, 0..10);
    assert_eq!(parts[1].1, 990..1000);
    assert_eq!(end, format!("\r\n--{boundary}--\r\n").as_bytes());
}

#[test]
fn a_range_beyond_the_end_is_told_the_length() {
    let plan = get(&[(header::RANGE, "bytes=1000-")]);
    assert_eq!(plan.status, 416);
    assert_eq!(plan.headers[header::CONTENT_RANGE], "bytes */1000");
    assert_eq!(plan.content, Parts::None);
    assert!(!plan.headers.contains_key(header::ETAG));
}

#[test]
fn a_range_of_an_older_file_is_the_whole_new_one() {
    let range = (header::RANGE, "bytes=0-9");
    assert_eq!(
        get(&[range.clone(), (header::IF_RANGE, "\"a\"")]).status,
        206
    );
    let plan = get(&[range, (header::IF_RANGE, "\"old\"")]);
    assert_eq!(
        (plan.status, plan.content),
        (StatusCode::OK, Parts::One(0..LEN))
    );
}

#[test]
fn conditions_come_before_ranges() {
    let range = (header::RANGE, "bytes=0-9");
    let plan = get(&[range.clone(), (header::IF_NONE_MATCH, "\"a\"")]);
    assert_eq!(
        (plan.status, plan.content),
        (StatusCode::NOT_MODIFIED, Parts::None)
    );
    assert_eq!(plan.headers[header::ETAG], "\"a\"");
    assert_eq!(plan.headers[header::CACHE_CONTROL], "no-cache");
    assert!(!plan.headers.contains_key(header::CONTENT_TYPE));
    let plan = get(&[range, (header::IF_MATCH, "\"b\"")]);
    assert_eq!(
        (plan.status, plan.content),
        (StatusCode::PRECONDITION_FAILED, Parts::None)
    );
}

#[test]
fn head_is_as_get_without_ranges_and_nothing_else_reads() {
    let plan = ask(Method::HEAD, &[(header::RANGE, "bytes=0-9")]);
    assert_eq!(
        (plan.status, plan.content),
        (StatusCode::OK, Parts::One(0..LEN))
    );
    let plan = ask(Method::POST, &[]);
    assert_eq!(plan.status, 405);
    assert_eq!(plan.headers[header::ALLOW], "GET, HEAD");
}

mod with_files {
    use super::*;
    use std::io::{Read, Write};

    fn file(text: &str) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn ask(accept: &str, codings: &[Coding]) -> (Plan, File) {
        let mut send = SendFile::new(file("plain")).unwrap();
        for &coding in codings {
            send = send.variant(coding, file(coding.token())).unwrap();
        }
        let asked = headers(&[(header::ACCEPT_ENCODING, accept)]);
        send.plan(&Method::GET, &asked, SystemTime::now())
    }

    fn text(mut file: File) -> String {
        use std::io::Seek;
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn the_variant_that_the_client_would_rather_have_is_sent() {
        let (plan, sent) = ask("gzip, br;q=0.5", &[Coding::Brotli, Coding::Gzip]);
        assert_eq!(text(sent), "gzip");
        assert_eq!(plan.headers[header::CONTENT_ENCODING], "gzip");
        assert_eq!(plan.headers[header::VARY], "Accept-Encoding");
        let tag = plan.headers[header::ETAG].to_str().unwrap();
        assert!(tag.ends_with("-gzip\""), "{tag}");
        assert_eq!(plan.content, Parts::One(0..4));

        let (plan, sent) = ask("gzip", &[Coding::Brotli]);
        assert_eq!(text(sent), "plain");
        assert!(!plan.headers.contains_key(header::CONTENT_ENCODING));
        assert_eq!(plan.headers[header::VARY], "Accept-Encoding");

        let (plan, _) = ask("gzip", &[]);
        assert!(!plan.headers.contains_key(header::VARY));
    }

    #[test]
    fn only_a_regular_file_is_sent() {
        let folder = File::open(std::env::temp_dir()).unwrap();
        assert!(SendFile::new(folder).is_err());
    }
}
