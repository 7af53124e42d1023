//! The registries: how each address does, which one answers, and whether this machine's clock agrees with theirs.

use std::time::{Duration, SystemTime};

use super::finding::{Finding, Trouble};
use crate::http::HttpError;
use crate::registries::BUNDLED;
use crate::registry::reach::Reach;
use crate::registry::{Attempt, age_text};

/// How far this machine's clock may be from the registry's.
const LARGEST_SKEW: Duration = Duration::from_mins(5);

/// What was found of all registries.
#[derive(Debug, Default)]
pub(super) struct RegistriesFacts {
    /// In the order in which they would be asked.
    pub(super) addresses: Vec<AddressFacts>,
    /// Why the list of registries itself cannot be used.
    pub(super) trouble: Option<Trouble>,
    pub(super) is_offline: bool,
    /// Registries of which only a cached document is left, with its age.
    pub(super) cached: Vec<(String, String)>,
}

/// One address.
#[derive(Debug)]
pub(super) struct AddressFacts {
    pub(super) registry: String,
    pub(super) address: String,
    pub(super) state: AddressState,
}

/// What it answered.
#[derive(Debug)]
pub(super) enum AddressState {
    Answered {
        /// `None` for files of this machine.
        latency: Option<Duration>,
        plugins: usize,
        /// Entries that are left out because they cannot be used.
        left_out: usize,
        /// The server's time and this machine's.
        clocks: Option<(SystemTime, SystemTime)>,
    },
    Failed {
        reason: String,
        hint: String,
    },
    NotAsked,
}

impl AddressFacts {
    pub(super) fn of(registry: &str, reach: &Reach) -> Self {
        let state = match &reach.outcome {
            Ok(loaded) => AddressState::Answered {
                latency: reach.latency,
                plugins: loaded.contents.releases.chunk_by(|one, other| one.name == other.name).count(),
                left_out: loaded.contents.warnings.len(),
                clocks: reach.clocks,
            },
            Err(Attempt::Offline(_)) => AddressState::NotAsked,
            Err(attempt) => {
                let (reason, hint) = reason(attempt, &reach.address);
                AddressState::Failed { reason, hint }
            }
        };
        Self { registry: registry.to_owned(), address: reach.address.clone(), state }
    }

    fn answers(&self) -> bool {
        matches!(self.state, AddressState::Answered { .. })
    }
}

fn reason(attempt: &Attempt, address: &str) -> (String, String) {
    match attempt {
        Attempt::Http(_, error @ HttpError::PlainHttp { .. }) => {
            (error.to_string(), "permit it: nself plugin doctor --allow-http".to_owned())
        }
        Attempt::Http(_, error) => (error.to_string(), format!("see what answers: curl -sSI {address}")),
        Attempt::Document(_, error) => (error.to_string(), format!("see what is there: curl -sS {address}")),
        Attempt::File(_, error) => (error.to_string(), format!("look at it: ls -l {address}")),
        Attempt::Offline(_) => ("was not asked".to_owned(), String::new()),
    }
}

pub(super) fn judge(facts: &RegistriesFacts) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        facts.trouble.iter().map(|trouble| Finding::of_trouble("registry", "", trouble)).collect();
    let any_answers = facts.addresses.iter().any(AddressFacts::answers);
    let mut last_used = None;
    for address in &facts.addresses {
        let is_first = address.answers() && last_used != Some(&address.registry);
        if is_first {
            last_used = Some(&address.registry);
        }
        findings.push(address_line(address, is_first, any_answers));
    }
    findings.extend(facts.cached.iter().map(|(registry, age)| cached(registry, age, facts.is_offline)));
    if facts.is_offline && !any_answers && facts.cached.is_empty() {
        findings.push(
            Finding::warning("registry", "", "no registry is on this machine, not even in the cache")
                .mend("fetch one while there is a network: nself plugin refresh"),
        );
    }
    if !facts.addresses.iter().any(|address| address.registry == BUNDLED) {
        let message = "the registry that comes with the program is not installed beside it";
        findings.push(Finding::warning("registry", BUNDLED, message).mend("install it, in the sources: ./install.sh"));
    }
    findings.push(clock(facts));
    findings
}

fn cached(registry: &str, age: &str, is_offline: bool) -> Finding {
    let message = format!("the document that was cached {age} ago is used");
    if is_offline {
        return Finding::ok("registry", registry, message);
    }
    Finding::warning("registry", registry, message).mend("try again when the network is there: nself plugin refresh")
}

fn address_line(address: &AddressFacts, is_used: bool, any_answers: bool) -> Finding {
    let subject = format!("{} {}", address.registry, address.address);
    match &address.state {
        AddressState::Answered { latency, plugins, left_out, .. } => {
            let took = latency.map_or_else(String::new, |latency| format!(" in {} ms", latency.as_millis()));
            let used = if is_used { "" } else { "; an earlier address answers, so it is not used" };
            let message = format!("answers{took}, {plugins} plugins{used}");
            if *left_out > 0 && is_used {
                return Finding::warning("registry", subject, format!("{message}; {left_out} unusable left out"))
                    .mend(format!("see which: nself plugin list --registry {}", address.registry));
            }
            Finding::ok("registry", subject, message)
        }
        AddressState::NotAsked => Finding::ok("registry", subject, "not asked: --offline"),
        AddressState::Failed { reason, hint } if any_answers => {
            Finding::warning("registry", subject, format!("{reason}; another answers")).mend(hint.clone())
        }
        AddressState::Failed { reason, hint } => {
            Finding::failed("registry", subject, reason.clone()).mend(hint.clone())
        }
    }
}

/// Of several servers the one that agrees best counts: one wrong clock elsewhere says nothing of this machine's.
fn clock(facts: &RegistriesFacts) -> Finding {
    let measured = facts.addresses.iter().filter_map(|address| match &address.state {
        AddressState::Answered { clocks: Some((server, own)), .. } => {
            let (skew, is_ahead) = match own.duration_since(*server) {
                Ok(ahead) => (ahead, true),
                Err(behind) => (behind.duration(), false),
            };
            Some((skew, is_ahead, &address.address))
        }
        _ => None,
    });
    let Some((skew, is_ahead, address)) = measured.min_by_key(|(skew, ..)| *skew) else {
        let why = if facts.is_offline { "not compared: --offline" } else { "not compared: no server told its time" };
        return Finding::ok("clock", "", why);
    };
    let way = if is_ahead { "ahead of" } else { "behind" };
    if skew > LARGEST_SKEW {
        let message = format!("this machine's clock is {} {way} that of {address}", age_text(skew));
        return Finding::warning("clock", "", message).mend("set it by the network: sudo timedatectl set-ntp true");
    }
    Finding::ok("clock", "", format!("agrees with {address} ({} s {way} it)", skew.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn address(registry: &str, state: AddressState) -> AddressFacts {
        AddressFacts { registry: registry.into(), address: format!("https://{registry}.example/registry.json"), state }
    }

    fn answered(skew_seconds: i64) -> AddressState {
        let own = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let skew = Duration::from_secs(skew_seconds.unsigned_abs());
        let server = if skew_seconds >= 0 { own - skew } else { own + skew };
        AddressState::Answered {
            latency: Some(Duration::from_millis(34)),
            plugins: 3,
            left_out: 0,
            clocks: Some((server, own)),
        }
    }

    fn failed() -> AddressState {
        AddressState::Failed { reason: "refused the connection".into(), hint: "curl".into() }
    }

    fn levels(addresses: Vec<AddressFacts>) -> Vec<Level> {
        let facts = RegistriesFacts { addresses, ..RegistriesFacts::default() };
        judge(&facts).iter().filter(|finding| finding.check == "registry").map(|finding| finding.level).collect()
    }

    #[test]
    fn an_address_that_fails_is_a_warning_while_another_answers() {
        let found = levels(vec![address("nself", failed()), address(BUNDLED, answered(0))]);
        assert_eq!(found, [Level::Warning, Level::Ok]);
    }

    #[test]
    fn it_is_a_failure_when_none_answers() {
        let found = levels(vec![address("nself", failed()), address(BUNDLED, failed())]);
        assert_eq!(found, [Level::Failed, Level::Failed]);
    }

    #[test]
    fn a_missing_bundled_registry_is_a_warning() {
        assert_eq!(levels(vec![address("nself", answered(0))]), [Level::Ok, Level::Warning]);
    }

    #[test]
    fn only_the_first_answering_address_of_a_registry_is_used() {
        let addresses = vec![address("nself", failed()), address("nself", answered(0)), address("nself", answered(0))];
        let findings = judge(&RegistriesFacts { addresses, ..RegistriesFacts::default() });
        assert_eq!(findings[1].message, "answers in 34 ms, 3 plugins");
        assert!(findings[2].message.ends_with("it is not used"));
    }

    #[test]
    fn a_clock_that_is_wrong_by_more_than_five_minutes_is_a_warning() {
        let of = |skews: &[i64]| {
            let addresses = skews.iter().map(|skew| address("nself", answered(*skew))).collect();
            clock(&RegistriesFacts { addresses, ..RegistriesFacts::default() })
        };
        assert_eq!(of(&[2]).level, Level::Ok);
        assert_eq!(of(&[300]).level, Level::Ok);
        assert_eq!(of(&[301]).level, Level::Warning);
        assert!(of(&[-7200]).message.contains("is 2 h behind that of"));
        assert_eq!(of(&[-7200, 1]).level, Level::Ok, "the server that agrees best counts");
        assert!(of(&[]).message.starts_with("not compared"));
    }
}
