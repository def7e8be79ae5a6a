//! Whom to go through.

use super::url::Url;
use crate::error::{Error, Result};

/// An HTTP proxy. Requests for `http` are sent to it whole; for `https` it is asked for a tunnel
/// (`CONNECT`), in which TLS goes from end to end.
///
/// ```
/// use libevent2::http::{ClientOptions, Proxy};
///
/// let mut options = ClientOptions::default();
/// let proxy = Proxy::new("http://user:secret@proxy.example:3128")?;
/// options.proxy = Some(proxy.except("localhost").except(".example.org"));
/// # Ok::<(), libevent2::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Proxy {
    pub(super) url: Url,
    except: Vec<String>,
}

impl Proxy {
    /// A proxy by its URL. User and password in it are for the proxy (`Proxy-Authorization`); with
    /// `https` the connection to the proxy is by TLS itself.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the URL cannot be one.
    pub fn new(url: &str) -> Result<Self> {
        let url = Url::parse(url).map_err(|why| Error::invalid("proxy", why))?;
        Ok(Proxy {
            url,
            except: Vec::new(),
        })
    }

    /// Goes to a host directly; with a dot at the beginning, to all hosts of a domain.
    #[must_use]
    pub fn except(mut self, host: &str) -> Self {
        self.except.push(host.to_ascii_lowercase());
        self
    }

    pub(super) fn is_for(&self, host: &str) -> bool {
        !self
            .except
            .iter()
            .any(|except| match except.strip_prefix('.') {
                Some(domain) => {
                    host == domain
                        || host
                            .strip_suffix(domain)
                            .is_some_and(|rest| rest.ends_with('.'))
                }
                None => host == except,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_hosts_and_domains() {
        let proxy = Proxy::new("http://p:1").unwrap();
        let proxy = proxy.except("one").except(".two.org");
        for direct in ["one", "two.org", "a.two.org", "b.a.two.org"] {
            assert!(!proxy.is_for(direct), "{direct}");
        }
        for through in ["one.org", "atwo.org", "two.org.evil", "org"] {
            assert!(proxy.is_for(through), "{through}");
        }
    }
}
