//! Where a request comes from, as far as anybody needs to know: a keyed digest of the address, a coarse place, a coarse device.

use std::fmt;

use atelier_vault::{Client, DeviceToken, Passing, PassingToken, Share};

/// Where a request comes from. The address itself stays at the edge; nothing here is printed.
#[derive(Clone, Default)]
pub struct Origin {
    /// The client's networks, digested; none in development for requests from this machine itself, which are not slowed down by it.
    pub client: Option<Client>,
    /// The country and city, if an operator has brought a file of them (U38).
    pub place: Option<String>,
    /// The browser and system, such as `Firefox on Linux` (V09).
    pub device: Option<String>,
    /// What the client keeps from an earlier sign-in (U35).
    pub device_token: Option<DeviceToken>,
    /// What the client keeps from a sign-up whose address it has yet to prove (U26).
    pub sign_up_token: Option<PassingToken>,
}

impl Origin {
    /// Whose places this client takes (sec.S2).
    #[must_use]
    pub fn share(&self) -> Share {
        self.client.as_ref().map_or(Share::Other, |client| Share::Client(client.networks().to_vec()))
    }

    /// With the device token of the request's input, where it has one: clients without cookies send it there.
    #[must_use]
    pub fn with_device_token(mut self, sent: Option<&str>) -> Self {
        if let Some(token) = sent.and_then(|text| DeviceToken::parse(text).ok()) {
            self.device_token = Some(token);
        }
        self
    }

    /// With the sign-up's token of the request's input, where it has one.
    #[must_use]
    pub fn with_sign_up_token(mut self, sent: Option<&str>) -> Self {
        if let Some(token) = sent.and_then(|text| PassingToken::parse(Passing::SignUp, text).ok()) {
            self.sign_up_token = Some(token);
        }
        self
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origin(..)")
    }
}

/// The device that a `User-Agent` names, coarsely: no versions, nothing that tells two people with the same browser apart. Only
/// words of these lists are ever kept, whatever a client sends.
#[must_use]
pub fn device_of(user_agent: &str) -> Option<String> {
    // Browsers claim to be others: the one that names itself last in such a chain comes first here.
    const PROGRAMS: [(&str, &str); 16] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Vivaldi/", "Vivaldi"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chromium/", "Chromium"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
        ("Wget/", "Wget"),
        ("python-requests/", "Python"),
        ("okhttp/", "Android app"),
        ("CFNetwork/", "Apple app"),
        ("node", "Node.js"),
    ];
    const SYSTEMS: [(&str, &str); 8] = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("CrOS", "ChromeOS"),
        ("Windows", "Windows"),
        ("Macintosh", "macOS"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let named =
        |list: &[(&str, &'static str)]| list.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name);
    match (named(&PROGRAMS), named(&SYSTEMS)) {
        (Some(program), Some(system)) => Some(format!("{program} on {system}")),
        (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v09_a_device_is_coarse() {
        let mozilla = "Mozilla/5.0 ";
        let table = [
            ("(X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", Some("Firefox on Linux")),
            (
                "(Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                Some("Chrome on Windows"),
            ),
            (
                "(Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0",
                Some("Edge on Windows"),
            ),
            (
                "(Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
                Some("Safari on macOS"),
            ),
            (
                "(iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                Some("Safari on iPhone"),
            ),
            (
                "(Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
                Some("Chrome on Android"),
            ),
            ("(something else)", None),
        ];
        for (agent, device) in table {
            assert_eq!(device_of(&format!("{mozilla}{agent}")).as_deref(), device, "{agent}");
        }
        assert_eq!(device_of("curl/8.5.0").as_deref(), Some("curl"));
        assert_eq!(device_of(&"x".repeat(100_000)), None);
    }
}
