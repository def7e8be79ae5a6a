//! regress_http.c, the cases without a connection: headers, queries, URIs, escapes.
#![cfg(feature = "http")]

use libevent2::evhttp::{self, HeaderName, HeaderValue, Server, Uri, UriFlags, uridecode};
use libevent2::{Error, EventBase};

#[test]
fn primitives() {
    assert_eq!(evhttp::htmlescape("<script>"), "&lt;script&gt;");
    assert_eq!(evhttp::htmlescape("\"'&"), "&quot;&#039;&amp;");

    let base = EventBase::new().unwrap();
    let server = Server::new(&base).unwrap();
    let handler = |_: evhttp::Request| ();
    server.set_cb("/test", handler).unwrap();
    let twice = server.set_cb("/test", handler);
    assert!(matches!(twice, Err(Error::Invalid { what: "path", .. })));
    assert!(server.del_cb("/test"));
    assert!(!server.del_cb("/test"));
    server.set_cb("/test", handler).unwrap();
}

#[test]
fn bad_headers() {
    let is_name = |name: &str| HeaderName::from_bytes(name.as_bytes()).is_ok();
    let is_value = |value: &str| HeaderValue::from_str(value).is_ok();
    assert!(is_name("One") && is_value("Two"));
    assert!(!is_value("Two\r\n Three"), "a folded line is refused");
    assert!(!is_name("One\r") && !is_name("One\n"));
    assert!(!is_value("Two\r") && !is_value("Two\n"));
}

#[test]
fn parse_query() {
    let parsed = |query: &str| {
        let query = evhttp::parse_query(&format!("http://www.test.com/?{query}")).ok()?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let pairs: Vec<_> = query.iter().map(|(n, v)| (text(n), text(v))).collect();
        for (name, value) in &pairs {
            assert_eq!(query.get(name), Some(value.as_bytes()));
        }
        Some(pairs)
    };
    for (query, wanted) in [
        ("q=test", &[("q", "test")][..]),
        ("q=test&foo=bar", &[("q", "test"), ("foo", "bar")]),
        ("q=test+foo", &[("q", "test foo")]),
        ("q=test%0Afoo", &[("q", "test\nfoo")]),
        ("q=test%0Dfoo", &[("q", "test\rfoo")]),
        ("q=test+this", &[("q", "test this")]),
        ("q=test&q2=foo", &[("q", "test"), ("q2", "foo")]),
        ("q=&q2=&q3=", &[("q", ""), ("q2", ""), ("q3", "")]),
    ] {
        let wanted = wanted.iter().map(|(n, v)| (n.to_string(), v.to_string()));
        assert_eq!(parsed(query), Some(wanted.collect()), "{query}");
    }
    for bad in ["q=test&&q2", "q&q2=foo", "q=foo&q2", "q=foo&q2&q3=x"] {
        assert_eq!(parsed(bad), None, "{bad}");
    }
}

#[test]
fn parse_query_str() {
    let whole = evhttp::parse_query_str("http://www.test.com/?q=test").unwrap();
    assert_eq!((whole.get("q"), whole.len()), (None, 1));
    let query = evhttp::parse_query_str("q=test").unwrap();
    assert_eq!(query.get("q"), Some(&b"test"[..]));
}

#[test]
fn parse_uri() {
    uris(UriFlags::empty());
}

#[test]
fn parse_uri_nc() {
    uris(UriFlags::NONCONFORMANT);
}

fn uris(flags: UriFlags) {
    let nonconformant = flags.contains(UriFlags::NONCONFORMANT);
    for odd in [
        "http://www.test.com/ why hello",
        "http://www.test.com/why-hello\x01",
        "http://www.test.com/why-hello?\x01",
        "http://www.test.com/why-hello#\x01",
        "http://www.test.com/why-hell%7o",
        "http://www.test.com/why-hello%7",
        "http://www.test.com/foo?ba%r",
        "http://www.test.com/foo#ba%r",
    ] {
        let uri = Uri::parse_with(odd, flags);
        assert_eq!(uri.is_ok(), nonconformant, "{odd:?}");
        assert!(uri.is_err() || uri.unwrap().join().is_ok(), "{odd:?}");
    }
    for bad in [
        "http://www.\x01.test.com/why-hello",
        "http://www.%7test.com/why-hello",
        "h%3ttp://www.test.com/why-hello",
        "99:99/foo",
        "http://www.test.com:999x/",
        "http://www.test.com:x/",
        "http://[hello-there]/",
        "http://[::1]]/",
        "http://[::1/",
        "http://[foob/",
        "http://[/",
        "http://[ffff:ffff:ffff:ffff:Ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]/",
        "http://[vX.foo]/",
        "http://[v.foo]/",
        "http://[v5.fo%o]/",
        "http://[v5X]/",
        "http://[v5]/",
        "http://[]/",
        "http://f\x01red@www.example.com/",
        "http://f%0red@www.example.com/",
        "http://www.example.com:9999999999999999999999999999999999999/",
        "http://www.example.com:hihi/",
        "://www.example.com/",
    ] {
        let refused = Uri::parse_with(bad, flags);
        assert!(
            matches!(refused, Err(Error::Invalid { what: "uri", .. })),
            "{bad:?}"
        );
    }
    bad_parts();
    good_parts();
    for (text, parts) in TAKEN_APART {
        let uri = Uri::parse_with(text, flags).unwrap();
        let found = Parts {
            scheme: uri.scheme(),
            userinfo: uri.userinfo(),
            host: uri.host(),
            port: uri.port(),
            path: uri.path().expect("a path, perhaps empty"),
            query: uri.query(),
            fragment: uri.fragment(),
        };
        assert_eq!(found, *parts, "{text}");
        // An empty port is left out.
        let joined = text.replace("com:/", "com/");
        let joined = joined.strip_suffix(':').unwrap_or(&joined);
        assert_eq!(uri.join().unwrap(), joined);
        assert_eq!(uri.clone().join().unwrap(), joined);
    }
}

fn bad_parts() {
    let mut uri = Uri::new();
    uri.set_host("www.example.com").unwrap();
    assert_eq!(uri.join().unwrap(), "//www.example.com");
    uri.set_path("hi_mom").unwrap();
    assert!(uri.join().is_err(), "a path behind a host begins with /");

    let mut uri = Uri::new();
    for scheme in ["", "33", "hi!"] {
        assert!(uri.set_scheme(scheme).is_err(), "{scheme}");
    }
    assert!(uri.set_userinfo("hello@").is_err());
    for host in ["[1.2.3.4]", "[", "www.[foo].com"] {
        assert!(uri.set_host(host).is_err(), "{host}");
    }
    assert!(uri.set_path("hello?world").is_err());
    assert!(uri.set_query("hello#world").is_err());
    assert!(uri.set_fragment("hello#world").is_err());
    assert!(uri.set_path("hello\0world").is_err());
}

fn good_parts() {
    let mut uri = Uri::new();
    for scheme in [Some("http"), None] {
        assert_eq!(uri.set_scheme(scheme).unwrap().scheme(), scheme);
    }
    for userinfo in [Some("username:pass"), None] {
        assert_eq!(uri.set_userinfo(userinfo).unwrap().userinfo(), userinfo);
    }
    let hosts = ["www.example.com", "1.2.3.4", "[1:2:3:4::]", "[v7.wobble]"];
    for host in hosts.map(Some).into_iter().chain([None, Some("")]) {
        assert_eq!(uri.set_host(host).unwrap().host(), host);
    }
    for port in [None, Some(80), Some(65535)] {
        assert_eq!(uri.set_port(port).port(), port);
    }
    for path in [Some(""), Some("/documents/public/index.html"), None] {
        assert_eq!(uri.set_path(path).unwrap().path(), path);
    }
    let queries = [
        Some("key=val&key2=val2"),
        Some("keyvalblarg"),
        Some(""),
        None,
    ];
    for query in queries {
        assert_eq!(uri.set_query(query).unwrap().query(), query);
    }
    for fragment in [Some(""), Some("here?i?am"), None] {
        assert_eq!(uri.set_fragment(fragment).unwrap().fragment(), fragment);
    }
}

#[derive(Debug, PartialEq)]
struct Parts<'a> {
    scheme: Option<&'a str>,
    userinfo: Option<&'a str>,
    host: Option<&'a str>,
    port: Option<u16>,
    path: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

const NONE: Parts<'static> = Parts {
    scheme: None,
    userinfo: None,
    host: None,
    port: None,
    path: "",
    query: None,
    fragment: None,
};

const TAKEN_APART: &[(&str, Parts<'static>)] = &[
    (
        "mailto:foo@bar",
        Parts {
            scheme: Some("mailto"),
            path: "foo@bar",
            ..NONE
        },
    ),
    (
        "http://www.test.com/?q=t%33est",
        Parts {
            scheme: Some("http"),
            host: Some("www.test.com"),
            path: "/",
            query: Some("q=t%33est"),
            ..NONE
        },
    ),
    (
        "http://%77ww.test.com",
        Parts {
            scheme: Some("http"),
            host: Some("%77ww.test.com"),
            ..NONE
        },
    ),
    (
        "http://www.test.com?q=test",
        Parts {
            scheme: Some("http"),
            host: Some("www.test.com"),
            query: Some("q=test"),
            ..NONE
        },
    ),
    (
        "http://www.test.com#fragment",
        Parts {
            scheme: Some("http"),
            host: Some("www.test.com"),
            fragment: Some("fragment"),
            ..NONE
        },
    ),
    (
        "http://8000/",
        Parts {
            scheme: Some("http"),
            host: Some("8000"),
            path: "/",
            ..NONE
        },
    ),
    (
        "http://:8000/",
        Parts {
            scheme: Some("http"),
            host: Some(""),
            port: Some(8000),
            path: "/",
            ..NONE
        },
    ),
    (
        "http://www.test.com:/",
        Parts {
            scheme: Some("http"),
            host: Some("www.test.com"),
            path: "/",
            ..NONE
        },
    ),
    (
        "http://www.test.com:",
        Parts {
            scheme: Some("http"),
            host: Some("www.test.com"),
            ..NONE
        },
    ),
    (
        "ftp://www.test.com/?q=test",
        Parts {
            scheme: Some("ftp"),
            host: Some("www.test.com"),
            path: "/",
            query: Some("q=test"),
            ..NONE
        },
    ),
    (
        "ftp://[::1]:999/?q=test",
        Parts {
            scheme: Some("ftp"),
            host: Some("[::1]"),
            port: Some(999),
            path: "/",
            query: Some("q=test"),
            ..NONE
        },
    ),
    (
        "ftp://[ff00::127.0.0.1]/?q=test",
        Parts {
            scheme: Some("ftp"),
            host: Some("[ff00::127.0.0.1]"),
            path: "/",
            query: Some("q=test"),
            ..NONE
        },
    ),
    (
        "ftp://[v99.not_(any:time)_soon]/?q=test",
        Parts {
            scheme: Some("ftp"),
            host: Some("[v99.not_(any:time)_soon]"),
            path: "/",
            query: Some("q=test"),
            ..NONE
        },
    ),
    (
        "scheme://user:pass@foo.com:42/?q=test&s=some+thing#fragment",
        Parts {
            scheme: Some("scheme"),
            userinfo: Some("user:pass"),
            host: Some("foo.com"),
            port: Some(42),
            path: "/",
            query: Some("q=test&s=some+thing"),
            fragment: Some("fragment"),
        },
    ),
    (
        "scheme://user@foo.com/#fragment",
        Parts {
            scheme: Some("scheme"),
            userinfo: Some("user"),
            host: Some("foo.com"),
            path: "/",
            fragment: Some("fragment"),
            ..NONE
        },
    ),
    (
        "scheme://%75ser@foo.com/#frag@ment",
        Parts {
            scheme: Some("scheme"),
            userinfo: Some("%75ser"),
            host: Some("foo.com"),
            path: "/",
            fragment: Some("frag@ment"),
            ..NONE
        },
    ),
    (
        "file:///some/path/to/the/file",
        Parts {
            scheme: Some("file"),
            host: Some(""),
            path: "/some/path/to/the/file",
            ..NONE
        },
    ),
    (
        "///some/path/to/the-file",
        Parts {
            host: Some(""),
            path: "/some/path/to/the-file",
            ..NONE
        },
    ),
    (
        "/s:ome/path/to/the-file?q=99#fred",
        Parts {
            path: "/s:ome/path/to/the-file",
            query: Some("q=99"),
            fragment: Some("fred"),
            ..NONE
        },
    ),
    (
        "relative/path/with/co:lon",
        Parts {
            path: "relative/path/with/co:lon",
            ..NONE
        },
    ),
    (
        "bob?q=99&q2=q?33#fr?ed",
        Parts {
            path: "bob",
            query: Some("q=99&q2=q?33"),
            fragment: Some("fr?ed"),
            ..NONE
        },
    ),
    (
        "#fr?ed",
        Parts {
            fragment: Some("fr?ed"),
            ..NONE
        },
    ),
];

#[test]
fn uriencode() {
    let unreserved = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ123456789-.~_";
    for (plain, escaped, plus) in [
        (&b"Hello"[..], "Hello", false),
        (b"99", "99", false),
        (b"", "", false),
        (unreserved.as_bytes(), unreserved, false),
        (b" ", "%20", false),
        (b" ", "+", true),
        (b"\xff\xf0\xe0", "%FF%F0%E0", false),
        (b"\x01\x19", "%01%19", true),
        (
            b"http://www.ietf.org/rfc/rfc3986.txt",
            "http%3A%2F%2Fwww.ietf.org%2Frfc%2Frfc3986.txt",
            true,
        ),
        (b"1+2=3", "1%2B2%3D3", true),
        (b"1+2=3", "1%2B2%3D3", false),
        (b"hello\0world", "hello%00world", false),
    ] {
        assert_eq!(evhttp::uriencode(plain, plus), escaped);
        assert_eq!(uridecode(escaped, plus), plain);
    }
    assert_eq!(evhttp::encode_uri("a b"), "a%20b");

    // What encoding does not make. A part of a text is a slice here.
    assert_eq!(uridecode(&"hello%20%20"[..6], false), b"hello%");
    let odd = b"%%xhello th+ere \xff";
    assert_eq!(uridecode(odd, false), odd);
    assert_eq!(uridecode("plus+should%20work+", true), b"plus should work ");
    assert_eq!(uridecode("%f0%a0%b0", true), b"\xf0\xa0\xb0");
    assert_eq!(uridecode("%00%00x%00%00", true), b"\0\0x\0\0");
    assert_eq!(
        evhttp::decode_uri("http://example.com/normal+path/?key=val+with+spaces"),
        b"http://example.com/normal+path/?key=val with spaces"
    );
}
