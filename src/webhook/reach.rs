//! Where webhooks send to: addresses of HTTP, but none of the link, by which clouds give secrets to whoever
//! asks from within, and none of many.

use std::io;
use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The longest address: bytes.
const ADDRESS_MOST: usize = 2_048;

/// Reads an address that messages can be sent to.
pub(crate) fn address(text: &str) -> Result<Url, String> {
    if text.len() > ADDRESS_MOST {
        return Err("it is longer than 2048 bytes".to_owned());
    }
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("write it as https://HOST/PATH".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user or a password; messages are signed instead".to_owned());
    }
    if is_refused(&url) {
        return Err("it is an address of the link, or of many, where no receiver is".to_owned());
    }
    Ok(url)
}

/// Whether an address is one that no receiver has.
fn is_never(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_link_local() || address.is_broadcast() || address.is_multicast()
        }
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_multicast(),
    }
}

/// Whether the host of an address is written as one that no receiver has.
fn is_refused(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse().is_ok_and(is_never)
}

/// Looks names up each time something is sent, and passes over such addresses: what a name leads to may
/// change after it was checked.
pub(super) struct Receivers;

impl Resolve for Receivers {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let reached: Vec<SocketAddr> = found.filter(|found| !is_never(found.ip())).collect();
            match reached.is_empty() {
                false => Ok(Box::new(reached.into_iter()) as Addrs),
                true => Err(io::Error::other("the name leads to no address of a receiver").into()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn addresses_of_the_link_are_refused_however_they_are_written() {
        for host in [
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "[::ffff:169.254.169.254]",
            "[fe80::1]",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            let url = Url::parse(&format!("http://{host}/latest")).unwrap();
            assert!(is_refused(&url), "{host}");
        }
        for host in ["127.0.0.1", "10.0.0.1", "[::1]", "[fd00::1]", "example.com", "192.0.2.1"] {
            assert!(!is_refused(&Url::parse(&format!("http://{host}/")).unwrap()), "{host}");
        }
    }
}
