//! The receipt of an installation, put together when everything is proven; and which values it must not hold.

use std::collections::{BTreeMap, BTreeSet};

use super::pipeline::{Shared, variables};
use crate::apply::Proven;
use crate::commands::target::Target;
use crate::context::{now, unix_seconds};
use crate::environment::{Assembled, ValueOrigin};
use crate::package::Package;
use crate::package::manifest::Manifest;
use crate::plan::{ImageNeed, Situation, Wanted};
use crate::preflight;
use crate::state::{RECEIPT_SCHEMA, Receipt, ReceiptContainer, ReceiptImage, ReceiptPort};
use crate::values::Values;

/// The values that must not appear in what a failure shows.
pub(super) fn secrets(manifest: &Manifest, assembled: &Assembled) -> Vec<String> {
    let declared = manifest.variables.iter().filter(|variable| variable.secret).map(|variable| variable.name.as_str());
    let looks_secret =
        |key: &&str| ["SECRET", "PASSWORD", "TOKEN", "KEY", "_URL"].iter().any(|part| key.contains(part));
    let others = assembled.values.keys().map(String::as_str).filter(looks_secret);
    let keys: BTreeSet<&str> = declared.chain(others).collect();
    keys.into_iter().filter_map(|key| assembled.values.get(key).map(|(value, _)| value.clone())).collect()
}

/// The variables that nobody may find again: given by `--env` or the process environment, under any of their names. A
/// port's variable counts too, although the container has its own value for it.
fn given_once(shared: &Shared<'_>, manifest: &Manifest, assembled: &Assembled) -> Vec<String> {
    let is_once = |origin: &ValueOrigin| matches!(origin, ValueOrigin::Flag | ValueOrigin::Process);
    let given = assembled.values.iter().filter(|(_, (_, origin))| is_once(origin)).map(|(key, _)| key.clone());
    let values = Values::default();
    let variables = variables(shared, &values);
    let ports = manifest.ports.iter().filter_map(|port| port.variable.clone());
    let moved =
        ports.filter(|key| variables.find(manifest.name.as_str(), key).is_some_and(|(_, origin)| is_once(&origin)));
    given.chain(moved).collect::<BTreeSet<String>>().into_iter().collect()
}

pub(super) fn receipt(
    shared: &Shared<'_>,
    target: &Target,
    package: &Package,
    (wanted, situation, assembled): (&Wanted<'_>, &Situation<'_>, &Assembled),
    proven: &Proven,
) -> Receipt {
    let manifest = package.manifest();
    let spec = wanted.container();
    let earlier = situation.receipt;
    let (reference, owned) = match &situation.image {
        ImageNeed::Present { reference, id, owned } => {
            let was_owned = earlier.is_some_and(|receipt| receipt.image.id == *id && receipt.image.owned);
            (reference, *owned || was_owned)
        }
        ImageNeed::Build { tag } => (tag, true),
        ImageNeed::Pull { reference } => (reference, true),
    };
    let set_by_user = |origin: &ValueOrigin| !matches!(origin, ValueOrigin::Default);
    Receipt {
        schema: RECEIPT_SCHEMA.to_owned(),
        plugin: manifest.name.clone(),
        version: manifest.version.clone(),
        project: shared.project.name.clone(),
        description: manifest.description.clone(),
        registry: target.registry_or(earlier),
        source: package.source().to_owned(),
        digest: package.digest(),
        proof: package.proof().clone(),
        image: ReceiptImage { reference: reference.clone(), id: proven.image_id.clone(), owned },
        containers: vec![ReceiptContainer {
            service: manifest.name.as_str().to_owned(),
            name: spec.name.clone(),
            id: proven.container_id.clone(),
            config_hash: wanted.config_hash(),
        }],
        ports: wanted
            .ports
            .iter()
            .map(|(port, host)| ReceiptPort {
                name: port.name.clone(),
                host: *host,
                container: port.port,
                hostname: port.hostname.clone(),
                protocol: port.protocol,
            })
            .collect(),
        networks: std::iter::once(spec.network.clone()).chain(wanted.backend_network.clone()).collect(),
        volumes: spec.volume_names(),
        variables: assembled
            .values
            .iter()
            .filter(|(_, (_, origin))| set_by_user(origin))
            .map(|(key, _)| key.clone())
            .collect(),
        given_once: Some(given_once(shared, manifest, assembled)),
        dependencies: target.dependencies.clone(),
        granted: preflight::granted(manifest),
        health_path: manifest.service.health_path.clone().unwrap_or_else(|| "/health".to_owned()),
        transaction: wanted.transaction.to_owned(),
        installed_at: unix_seconds(now()),
        healthy_after_milliseconds: u64::try_from(proven.healthy_after.as_millis()).unwrap_or(u64::MAX),
        others: BTreeMap::new(),
    }
}
