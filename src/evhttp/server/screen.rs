//! Refuses what could be read in two ways, by us and by a proxy before us, whatever libevent is
//! linked.

use ::http::{HeaderMap, Method, StatusCode, Version, header};

/// The status that the request deserves for its method, version and headers alone.
pub(super) fn check(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
) -> Result<(), StatusCode> {
    let refuse = |refused: bool| match refused {
        true => Err(StatusCode::BAD_REQUEST),
        false => Ok(()),
    };
    let hosts = headers.get_all(header::HOST).iter().count();
    refuse(hosts > 1 || (hosts == 0 && version == Version::HTTP_11))?;

    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    let length = headers.get(header::CONTENT_LENGTH).map(|v| v.as_bytes());
    refuse(lengths > 1)?;
    refuse(
        length.is_some_and(|digits| digits.is_empty() || !digits.iter().all(u8::is_ascii_digit)),
    )?;

    let codings = headers.get_all(header::TRANSFER_ENCODING).iter().count();
    let coding = headers.get(header::TRANSFER_ENCODING).map(|v| v.as_bytes());
    refuse(codings > 1 || (codings > 0 && (lengths > 0 || version == Version::HTTP_10)))?;
    refuse(coding.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"chunked")))?;

    // evhttp reads no body for these; what was one would be taken for the next request.
    let bodiless = method == Method::HEAD || method == Method::TRACE;
    let has_body = codings > 0 || length.is_some_and(|digits| digits != b"0");
    refuse(bodiless && has_body)?;

    if method == Method::CONNECT {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::{HeaderName, HeaderValue};

    fn verdict(method: Method, version: Version, list: &[(&str, &str)]) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        check(&method, version, &headers)
            .err()
            .map(|status| status.as_u16())
    }

    #[test]
    fn only_one_way_to_read_it_passes() {
        let v11 = Version::HTTP_11;
        let get = |list: &[(&str, &str)]| {
            let mut all = vec![("host", "h")];
            all.extend(list);
            verdict(Method::GET, v11, &all)
        };
        assert_eq!(get(&[]), None);
        assert_eq!(get(&[("content-length", "12")]), None);
        assert_eq!(get(&[("transfer-encoding", "Chunked")]), None);
        for bad in [
            &[
                ("transfer-encoding", "chunked"),
                ("transfer-encoding", "chunked"),
            ][..],
            &[("transfer-encoding", "chunked"), ("content-length", "1")],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "xchunked")],
            &[("content-length", "1"), ("content-length", "1")],
            &[("content-length", "+1")],
            &[("content-length", "0x1")],
            &[("content-length", "1, 1")],
            &[("content-length", "")],
            &[("host", "other")],
        ] {
            assert_eq!(get(bad), Some(400), "{bad:?}");
        }
        assert_eq!(verdict(Method::GET, v11, &[]), Some(400));
        assert_eq!(verdict(Method::GET, Version::HTTP_10, &[]), None);
    }

    #[test]
    fn a_body_where_evhttp_reads_none_is_refused() {
        let v11 = Version::HTTP_11;
        let host = ("host", "h");
        let head = |more| verdict(Method::HEAD, v11, &[host, more]);
        assert_eq!(head(("content-length", "0")), None);
        assert_eq!(head(("content-length", "5")), Some(400));
        assert_eq!(head(("transfer-encoding", "chunked")), Some(400));
        assert_eq!(verdict(Method::CONNECT, v11, &[host]), Some(501));
    }
}
