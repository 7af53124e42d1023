//! How each address of a registry does, asked for itself and all of them side by side. Reads and writes no cache, and
//! prefers no address to another: that is `source`.

use std::time::{Duration, SystemTime};

use super::Origin;
use super::error::{Attempt, LoadFailure};
use super::source::{Loaded, Location, Source, bare, shown};
use super::wire::{self, LARGEST_DOCUMENT, Place};
use crate::http::Http;

/// One address, and what came of asking it.
#[derive(Debug)]
pub struct Reach {
    /// As it may be shown.
    pub address: String,
    /// How long an address on the network took to answer.
    pub latency: Option<Duration>,
    /// The server's time and this machine's at the moment of the answer.
    pub clocks: Option<(SystemTime, SystemTime)>,
    pub outcome: Result<Loaded, Attempt>,
}

impl Source {
    /// Asks every address, in the order in which they would be tried; with `offline` only the files of this machine.
    pub async fn reach(&self, http: &Http, offline: bool, clock: fn() -> SystemTime) -> Vec<Reach> {
        let asked = self.locations.iter().map(|location| self.reach_one(location, http, offline, clock));
        futures_util::future::join_all(asked).await
    }

    async fn reach_one(&self, location: &Location, http: &Http, offline: bool, clock: fn() -> SystemTime) -> Reach {
        let url = match location.document() {
            Location::Folder(path) => {
                let (address, outcome) = (path.display().to_string(), self.read_file(&path));
                return Reach { address, latency: None, clocks: None, outcome };
            }
            Location::Url(url) => url,
        };
        let address = shown(&url);
        let none = |attempt| Reach { address: address.clone(), latency: None, clocks: None, outcome: Err(attempt) };
        if offline {
            return none(Attempt::Offline(address.clone()));
        }
        match http.reach(&url, LARGEST_DOCUMENT).await {
            Err(error) => none(Attempt::Http(address.clone(), error)),
            Ok(reached) => {
                let own = clock();
                let server = reached.date.and_then(|(date, age)| date.checked_add(age));
                let read = wire::read(&reached.bytes, &self.base(Place::Url(bare(&url))));
                let outcome = read
                    .map(|contents| Loaded { contents, origin: Origin::Network(bare(&url)), notes: Vec::new() })
                    .map_err(|error| Attempt::Document(address.clone(), error));
                let clocks = server.map(|server| (server, own));
                Reach { address, latency: Some(reached.latency), clocks, outcome }
            }
        }
    }

    /// What the answers come to: the document of the first address that gave one.
    pub fn first_of(&self, outcomes: Vec<Result<Loaded, Attempt>>) -> Result<Loaded, LoadFailure> {
        let mut attempts = Vec::new();
        for outcome in outcomes {
            match outcome {
                Ok(loaded) => return Ok(loaded),
                Err(attempt) => attempts.push(attempt),
            }
        }
        Err(LoadFailure { registry: self.name.clone(), attempts })
    }
}
