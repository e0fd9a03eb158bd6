//! Where a name leads: asked once for each try, and all of the answer looked at.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::address::Address;
use super::public::is_public;

/// How many addresses of a name are tried.
const TRIED: usize = 3;
/// How many names are asked for at once. A thread that asks cannot be stopped, and one whose name nobody answers for stays
/// for minutes: it keeps its place here, whoever still waits, so that jobs find theirs.
pub(crate) const ASKED_AT_ONCE: usize = 4;

static ASKING: Semaphore = Semaphore::const_new(ASKED_AT_ONCE);

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("the name leads to no public address")]
    Unknown,
    // The same words: which names there are inside is nobody's business.
    #[error("the name leads to no public address")]
    Private,
}

/// The addresses to connect to, and no others.
pub(super) async fn resolve(address: &Address, allow_private: bool) -> Result<Vec<SocketAddr>, ResolveError> {
    let found: Vec<SocketAddr> = match address.host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, address.port)],
        Err(_) => ask(address).await.ok_or(ResolveError::Unknown)?,
    };
    among(found, allow_private)
}

async fn ask(address: &Address) -> Option<Vec<SocketAddr>> {
    let place = ASKING.acquire().await.ok()?;
    let (host, port) = (address.host.clone(), address.port);
    let asked = spawn_blocking(move || {
        let found = (host.as_str(), port).to_socket_addrs();
        drop(place);
        found
    });
    asked.await.ok()?.ok().map(Iterator::collect)
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
