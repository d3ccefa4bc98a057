//! Where a request comes from: the peer, or the hop that a configured proxy names. Nobody else is believed (sec.R5).

use std::net::{IpAddr, SocketAddr};

use atelier_commands::Origin;
use atelier_commands::origin::device_of;
use atelier_vault::{DeviceToken, Passing, PassingToken};
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

/// Whether a peer looks like a proxy of the operator's own that is not configured: it stands in a private network and forwards.
fn looks_like_a_proxy(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    let private = match peer {
        IpAddr::V4(peer) => peer.is_private() || peer.is_loopback() || peer.is_link_local(),
        IpAddr::V6(peer) => peer.is_unique_local() || peer.is_loopback() || peer.is_unicast_link_local(),
    };
    private && headers.contains_key("x-forwarded-for") && !proxies.iter().any(|network| network.contains(&peer))
}

/// What is believed, for the line at the start.
pub fn believed(proxies: &[IpNet]) -> String {
    if proxies.is_empty() {
        return "X-Forwarded-For is believed from nobody (ATELIER_TRUSTED_PROXIES)".to_owned();
    }
    let networks: Vec<String> = proxies.iter().map(ToString::to_string).collect();
    format!("X-Forwarded-For is believed from {}", networks.join(", "))
}

/// The client's address, as far as we know it.
pub fn address_of(edge: &Edge, request: &Request) -> Option<IpAddr> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>()?.0.ip();
    if !edge.unbelieved.is_completed() && looks_like_a_proxy(peer, request.headers(), &edge.proxies) {
        // The address of a proxy, not of a person: private networks are nobody's data.
        edge.unbelieved.call_once(|| {
            tracing::warn!(
                "a peer in a private network sends X-Forwarded-For and is not believed: all its clients count as one. \
                 If it is your proxy, name its network in ATELIER_TRUSTED_PROXIES"
            );
        });
    }
    Some(address(peer, request.headers(), &edge.proxies))
}

/// Where a request comes from, as use cases need to know it.
pub fn origin(edge: &Edge, request: &Request) -> Origin {
    let headers = request.headers();
    // In development, who works on this very machine is not slowed down as one client.
    let client = address_of(edge, request).filter(|address| !(edge.development && address.is_loopback()));
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Origin {
        client: client.map(|address| edge.write.secrets.client(address)),
        place: client.and_then(|address| edge.write.ports.places.place(address)),
        device: agent.and_then(device_of),
        device_token: cookie(headers, edge.cookie.device_name()).and_then(|text| DeviceToken::parse(&text).ok()),
        sign_up_token: cookie(headers, edge.cookie.sign_up_name())
            .and_then(|text| PassingToken::parse(Passing::SignUp, &text).ok()),
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
    fn r5_who_looks_like_a_proxy_that_is_not_believed() {
        let table: [(&str, bool, &[&str], bool); 12] = [
            ("10.0.0.1", true, &[], true),
            ("172.17.0.1", true, &[], true),
            ("192.168.1.1", true, &["10.0.0.0/8"], true),
            ("127.0.0.1", true, &[], true),
            ("::1", true, &[], true),
            ("fd00::1", true, &[], true),
            ("::ffff:10.0.0.1", true, &[], true),
            ("10.0.0.1", false, &[], false),
            ("10.0.0.1", true, &["10.0.0.0/8"], false),
            ("203.0.113.9", true, &[], false),
            ("2001:db8::1", true, &[], false),
            ("172.32.0.1", true, &[], false),
        ];
        for (peer, forwards, proxies, expected) in table {
            let mut headers = HeaderMap::new();
            if forwards {
                headers.append("x-forwarded-for", "198.51.100.7".parse().unwrap());
            }
            let proxies: Vec<IpNet> = proxies.iter().map(|network| network.parse().unwrap()).collect();
            assert_eq!(looks_like_a_proxy(peer.parse().unwrap(), &headers, &proxies), expected, "{peer}");
        }
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
