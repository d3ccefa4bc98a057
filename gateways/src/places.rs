//! Coarse places of network addresses, from a file in MaxMind's format that the operator brings (U38); without one nothing is known.

use std::net::IpAddr;
use std::path::Path;

use atelier_commands::ports::{GatewayError, Places};
use maxminddb::{Reader, geoip2};

/// The most characters of a place.
const LONGEST: usize = 120;

/// Knows no place.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl Places for Nowhere {
    fn place(&self, _: IpAddr) -> Option<String> {
        None
    }
}

/// Places from a file, held in memory.
pub struct PlacesFile(Reader<Vec<u8>>);

impl PlacesFile {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read or is not of this format.
    pub fn open(file: &Path) -> Result<Self, GatewayError> {
        let reader = Reader::open_readfile(file).map_err(|error| {
            GatewayError::Unavailable(format!("the file of places {} cannot be used: {error}", file.display()))
        })?;
        Ok(Self(reader))
    }
}

impl Places for PlacesFile {
    fn place(&self, address: IpAddr) -> Option<String> {
        // A damaged entry is an unknown place: nobody is kept from signing in by it.
        let found: geoip2::City<'_> = self.0.lookup(address).ok()?.decode().ok()??;
        let country = found.country.names.english?;
        let place = match found.city.names.english {
            Some(city) => format!("{city}, {country}"),
            None => country.to_owned(),
        };
        Some(place.chars().filter(|c| !c.is_control()).take(LONGEST).collect())
    }
}
