//! Where a name leads: asked once for each try, and all of the answer looked at.

use std::net::{IpAddr, SocketAddr};

use tokio::net::lookup_host;

use super::address::Address;
use super::public::is_public;

/// How many addresses of a name are tried.
const TRIED: usize = 3;

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("the name has no address")]
    Unknown,
    #[error("the name leads to an address that is not public")]
    Private,
}

/// The addresses to connect to, and no others.
pub(super) async fn resolve(address: &Address, allow_private: bool) -> Result<Vec<SocketAddr>, ResolveError> {
    let found: Vec<SocketAddr> = match address.host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, address.port)],
        Err(_) => match lookup_host((address.host.as_str(), address.port)).await {
            Ok(found) => found.collect(),
            Err(_) => return Err(ResolveError::Unknown),
        },
    };
    among(found, allow_private)
}

/// One that is not public makes all of them suspicious: nobody has both by accident.
fn among(mut found: Vec<SocketAddr>, allow_private: bool) -> Result<Vec<SocketAddr>, ResolveError> {
    if found.is_empty() {
        return Err(ResolveError::Unknown);
    }
    if !allow_private && !found.iter().all(|address| is_public(address.ip())) {
        return Err(ResolveError::Private);
    }
    found.truncate(TRIED);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_that_is_not_public_is_too_many() {
        let of = |ips: &[&str]| among(ips.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 443)).collect(), false);
        assert_eq!(of(&["1.1.1.1", "2606:4700::1111"]).unwrap().len(), 2);
        assert!(matches!(of(&["1.1.1.1", "127.0.0.1"]), Err(ResolveError::Private)));
        assert!(matches!(of(&["1.1.1.1", "8.8.8.8", "9.9.9.9", "::1"]), Err(ResolveError::Private)));
        assert!(matches!(of(&[]), Err(ResolveError::Unknown)));
        assert_eq!(of(&["1.1.1.1"; 9]).unwrap().len(), TRIED);
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_found_out() {
        for host in ["localhost", "127.1", "2130706433", "0x7f000001"] {
            let address = Address::read(&format!("https://{host}/"), false).unwrap();
            let error = resolve(&address, false).await.unwrap_err();
            // Not every resolver reads numbers in these old forms; none of those that do leads home.
            assert!(matches!(error, ResolveError::Private | ResolveError::Unknown), "{host}: {error}");
        }
        let localhost = Address::read("https://localhost/", false).unwrap();
        assert!(matches!(resolve(&localhost, false).await, Err(ResolveError::Private)));
        assert!(resolve(&localhost, true).await.is_ok());
    }
}
