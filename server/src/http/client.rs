//! Where a request comes from: the peer, or the hop that a configured proxy names. Nobody else is believed (sec.R5).

use std::net::{IpAddr, SocketAddr};

use atelier_commands::Origin;
use atelier_commands::origin::device_of;
use atelier_vault::DeviceToken;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, header};
use ipnet::IpNet;

use super::Edge;
use super::auth::cookie;

/// The most hops looked at.
const HOPS: usize = 32;

/// The client's address: from the peer leftwards through `X-Forwarded-For`, the first hop that is none of our proxies. What stands to
/// the left of it anybody may have written.
fn address(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let trusted = |address: &IpAddr| proxies.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    let lines: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().map(|value| value.to_str().unwrap_or_default()).collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')).take(HOPS) {
        if !trusted(&client) {
            break;
        }
        match hop_address(hop.trim()) {
            Some(next) => client = next,
            None => break,
        }
    }
    client
}

/// Some proxies write the port as well.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let address = hop.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|hop| hop.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// The client's address, as far as we know it.
pub fn address_of(edge: &Edge, request: &Request) -> Option<IpAddr> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>()?.0.ip();
    Some(address(peer, request.headers(), &edge.proxies))
}

/// Where a request comes from, as use cases need to know it.
pub fn origin(edge: &Edge, request: &Request) -> Origin {
    let headers = request.headers();
    // Who works on this very machine, or stands behind a proxy on it that is not configured, is not slowed down as one client.
    let client = address_of(edge, request).filter(|address| !address.is_loopback());
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Origin {
        client: client.map(|address| edge.write.secrets.client(address)),
        place: client.and_then(|address| edge.write.ports.places.place(address)),
        device: agent.and_then(device_of),
        device_token: cookie(headers, edge.cookie.device_name()).and_then(|text| DeviceToken::parse(&text).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let proxies: Vec<IpNet> = proxies.iter().map(|network| network.parse().unwrap()).collect();
        address(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn r5_a_forwarded_address_is_believed_only_from_configured_proxies() {
        let ours: &[&str] = &["10.0.0.0/8", "2001:db8::/32"];
        let table: [(&str, &[&str], &[&str], &str); 12] = [
            ("192.0.2.1", &["203.0.113.9"], &[], "192.0.2.1"),
            ("192.0.2.1", &["203.0.113.9"], ours, "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.9"], ours, "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9"], &[], "10.0.0.1"),
            // The client wrote the left part itself.
            ("10.0.0.1", &["198.51.100.7, 203.0.113.9"], ours, "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.7, 203.0.113.9, 10.1.2.3"], ours, "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.7", "203.0.113.9,10.1.2.3"], ours, "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9, nonsense"], ours, "10.0.0.1"),
            ("10.0.0.1", &[], ours, "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.2, 10.0.0.3"], ours, "10.0.0.2"),
            ("::ffff:10.0.0.1", &["[2001:db8::7]:443, 203.0.113.9:1234"], ours, "203.0.113.9"),
            ("2001:db8::1", &["2a00::1"], ours, "2a00::1"),
        ];
        for (peer, forwarded, proxies, expected) in table {
            assert_eq!(client(peer, forwarded, proxies), expected, "{peer} {forwarded:?}");
        }
    }
}
