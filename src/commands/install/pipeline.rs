//! The pipeline of one plugin: each line turns one value into the next. Nothing on the engine changes before every
//! check has passed; from there on `apply` keeps what it needs to undo it.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;

use crate::apply::{self, Job, Proven};
use crate::context::{Context, now, unix_seconds};
use crate::docker::{Docker, Observed, label};
use crate::environment::{Assembled, ValueOrigin, Variables, assemble, host_port};
use crate::error::Error;
use crate::fs;
use crate::health::{Probe, Verdict};
use crate::name::PluginName;
use crate::package::archive::Archive;
use crate::package::manifest::{Manifest, Port};
use crate::package::recipe::Recipe;
use crate::package::{Package, VerifyPolicy, fetch};
use crate::plan::{self, Activation, ImageNeed, Situation, Wanted};
use crate::preflight::{self, Problem};
use crate::project::Project;
use crate::state::{RECEIPT_SCHEMA, Receipt, ReceiptContainer, ReceiptImage, ReceiptPort};
use crate::ui::Event;
use crate::undo;
use crate::values::Values;

use super::report::{How, Outcome};
use super::target::{Source, Target};

/// What all plugins of one command share.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are independent")]
pub(super) struct Shared<'a> {
    pub(super) cx: &'a Context,
    pub(super) project: &'a Project,
    pub(super) home: String,
    pub(super) flags: Vec<(String, String)>,
    pub(super) policy: VerifyPolicy,
    pub(super) allow_http: bool,
    pub(super) allow_privileged: bool,
    pub(super) force: bool,
    pub(super) dry_run: bool,
    /// Ports that a plugin of this command has claimed.
    pub(super) claimed: Mutex<HashMap<u16, PluginName>>,
}

/// What is known before the package is there.
struct Before {
    receipt: Option<Receipt>,
    observed: Observed,
    values: Values,
}

/// Installs one plugin, or finds it as wanted, or leaves everything as it was.
pub(super) async fn install(shared: &Shared<'_>, target: &Target) -> Result<Outcome, Error> {
    let cx = shared.cx;
    let _lock = cx.lock(&target.name).await?;
    undo::recover_plugin(cx, target.name.as_str()).await?;
    let docker = cx.docker().await?;
    let before = look(shared, docker, target).await?;
    if let Some(current) = find_current(shared, target, &before).await? {
        return Ok(current);
    }
    check_port_early(shared, docker, target, &before).await?;
    let transaction = format!("{}.{}", target.name, fs::random_id());
    let outcome = stage_and_apply(shared, target, &before, &transaction).await;
    if outcome.is_err() || shared.dry_run {
        // Where an undo was incomplete, the record stays and with it the staging folder.
        let is_recorded = cx.state.unfinished()?.iter().any(|record| record.id == transaction);
        if !is_recorded {
            fs::remove_tree(&cx.state.staging(&transaction))?;
        }
    }
    outcome
}

async fn look(shared: &Shared<'_>, docker: &Docker, target: &Target) -> Result<Before, Error> {
    let cx = shared.cx;
    Ok(Before {
        receipt: match cx.state.receipt(&shared.project.name, &target.name) {
            Ok(receipt) => receipt,
            // A broken receipt must not stand in the way of the installation that mends it.
            Err(error) if shared.force => {
                cx.reporter.event(Event::Warning { text: &error.to_string() });
                None
            }
            Err(error) => return Err(error.into()),
        },
        observed: docker.observe(&shared.home).await?,
        values: Values::read(&cx.settings.config_dir, &shared.project.name)?,
    })
}

/// Everything from the archive on.
async fn stage_and_apply(
    shared: &Shared<'_>,
    target: &Target,
    before: &Before,
    transaction: &str,
) -> Result<Outcome, Error> {
    let cx = shared.cx;
    let package = stage(shared, target, before, transaction).await?;
    let refused = |source| Error::Package { plugin: target.name.as_str().to_owned(), source };
    let recipe = Recipe::choose(&package).map_err(refused)?;
    let variables = variables(shared, &before.values);
    let assembled = assemble(package.manifest(), &variables, &fs::random_secret);
    let wanted = want(shared, &package, &assembled, before, transaction)?;
    check(shared, target, &wanted, &assembled, &before.observed).await?;
    let docker = cx.docker().await?;
    let image = find_image(docker, &recipe, &package, transaction).await?;
    let activation = activation(cx, &package, before.receipt.as_ref())?;
    let situation = Situation {
        observed: &before.observed,
        receipt: before.receipt.as_ref(),
        image,
        generated: assembled.generated.iter().map(|(key, _)| key.clone()).collect(),
        activate: activation.clone(),
        other_projects: other_projects(cx, &shared.project.name, &target.name)?,
    };
    let (plan, undo) = plan::install(&wanted, &situation);
    if shared.dry_run {
        return Ok(Outcome::Planned(Box::new(plan)));
    }
    for note in &plan.notes {
        cx.reporter.event(Event::Detail { plugin: target.name.as_str(), text: note });
    }
    let job = Job {
        plan: &plan,
        undo,
        transaction,
        recipe: &recipe,
        activation: activation.as_ref(),
        generated: &assembled.generated,
        labels: apply::transaction_labels(&target.name, &shared.project.name, &shared.home, transaction),
        image_labels: image_labels(&package),
        secrets: secrets(package.manifest(), &assembled),
    };
    let mut written = None;
    let proven = apply::run(cx, &job, |proven| {
        let receipt = receipt(shared, target, &package, (&wanted, &situation, &assembled), proven);
        written = Some(receipt.clone());
        receipt
    })
    .await?;
    let receipt = written.ok_or(Error::Interrupted)?;
    Ok(Outcome::Installed {
        how: match (&before.receipt, &activation) {
            (None, _) => How::New,
            (Some(_), None) => How::Repaired,
            (Some(_), Some(_)) => How::Replaced,
        },
        receipt: Box::new(receipt),
        verdict: proven.verdict.unwrap_or(Verdict::Healthy),
        generated: situation.generated.clone(),
        passed_over: target.passed_over.clone(),
    })
}

/// What an image is recognised by, besides the labels of its transaction.
fn image_labels(package: &Package) -> BTreeMap<String, String> {
    let digest = package.digest().map(|digest| digest.to_string()).unwrap_or_default();
    BTreeMap::from([
        (label::VERSION.to_owned(), package.manifest().version.to_string()),
        (label::DIGEST.to_owned(), digest),
    ])
}

fn variables<'a>(shared: &'a Shared<'_>, values: &'a Values) -> Variables<'a> {
    Variables { flags: &shared.flags, process: &shared.cx.process_environment, project: shared.project, values }
}

/// Whether the plugin is installed, as wanted, and healthy now. Reads the active package's manifest only.
async fn find_current(shared: &Shared<'_>, target: &Target, before: &Before) -> Result<Option<Outcome>, Error> {
    let (Some(receipt), false) = (&before.receipt, shared.force) else { return Ok(None) };
    if !target.accepts(receipt)? {
        return Ok(None);
    }
    let active = shared.cx.state.active_package(target.name.as_str());
    let Ok(package) = Package::active(&active, receipt.digest, &receipt.proof, &receipt.source) else {
        return Ok(None);
    };
    let variables = variables(shared, &before.values);
    let assembled = assemble(package.manifest(), &variables, &fs::random_secret);
    if !assembled.generated.is_empty() || !assembled.missing.is_empty() {
        return Ok(None);
    }
    let wanted = want(shared, &package, &assembled, before, "")?;
    let name = wanted.container_name();
    let hash = wanted.config_hash();
    let container =
        before.observed.of_plugin(&shared.project.name, target.name.as_str()).find(|found| found.name == name);
    let is_as_wanted = container.is_some_and(|found| found.is_running() && found.config_hash == hash);
    if !is_as_wanted {
        return Ok(None);
    }
    let verdict = match receipt.ports.first() {
        Some(port) => Probe { port: port.host, path: receipt.health_path.clone() }.ask().await,
        None => Verdict::Healthy,
    };
    let newer = target.newer_than(receipt);
    Ok(verdict.is_usable().then(|| Outcome::Current { receipt: Box::new(receipt.clone()), verdict, newer }))
}

/// Brings the package into staging: downloaded and unpacked, copied, or the active one as it is.
async fn stage(shared: &Shared<'_>, target: &Target, before: &Before, transaction: &str) -> Result<Package, Error> {
    let cx = shared.cx;
    let refused = |source| Error::Package { plugin: target.name.as_str().to_owned(), source };
    let staging = cx.state.staging(transaction);
    if let (Source::Installed, Some(receipt)) = (&target.source, &before.receipt) {
        let active = cx.state.active_package(target.name.as_str());
        return Package::active(&active, receipt.digest, &receipt.proof, &receipt.source).map_err(refused);
    }
    fs::create_folder(&staging)?;
    let package = match &target.source {
        Source::Release(release) => {
            cx.reporter.event(Event::Started { plugin: target.name.as_str(), what: "fetching the archive" });
            let reporter = cx.reporter.clone();
            let plugin = target.name.as_str().to_owned();
            let mut progress = move |done, total| reporter.event(Event::Bytes { plugin: &plugin, done, total });
            let http = crate::http::Http::new(shared.allow_http)?;
            let archive = tokio::select! {
                archive = fetch::fetch(release, &staging, &http, shared.policy, &mut progress) => archive.map_err(refused)?,
                () = cx.interrupt.wanted() => return Err(Error::Interrupted),
            };
            unpack(archive, staging, target.name.clone(), Some(release.version.clone())).await.map_err(refused)?
        }
        Source::Folder(folder) => Package::from_folder(folder, &staging).map_err(refused)?,
        Source::Archive(path) => {
            let archive = Archive::open_local(path).map_err(refused)?;
            unpack(archive, staging, target.name.clone(), None).await.map_err(refused)?
        }
        Source::Installed => {
            return Err(Error::NotInstalled { name: target.name.clone(), project: shared.project.name.clone() });
        }
    };
    Ok(package)
}

/// Unpacks beside the runtime, so that other plugins go on meanwhile.
async fn unpack(
    archive: Archive,
    staging: std::path::PathBuf,
    name: PluginName,
    version: Option<semver::Version>,
) -> Result<Package, crate::package::PackageError> {
    let work = move || archive.unpack(&staging, Some(&name), version.as_ref());
    match tokio::task::spawn_blocking(work).await {
        Ok(unpacked) => unpacked,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn want<'a>(
    shared: &'a Shared<'_>,
    package: &'a Package,
    assembled: &Assembled,
    before: &Before,
    transaction: &'a str,
) -> Result<Wanted<'a>, Error> {
    let manifest = package.manifest();
    let variables = &variables(shared, &before.values);
    let ports = wanted_ports(manifest, variables).map_err(|problem| Error::Preflight(vec![problem]))?;
    let memory_key = format!("{}_MEMORY", manifest.name.variable_prefix());
    let memory = match variables.find(manifest.name.as_str(), &memory_key) {
        Some((value, _)) => Some(crate::package::manifest::parse_memory(&value).ok_or_else(|| {
            Error::Preflight(vec![Problem {
                code: "memory.malformed",
                message: format!("{memory_key} is `{}`, which is no amount of memory", crate::name::shown(&value)),
                hint: Some(format!("give bytes or a unit: {memory_key}=256m")),
            }])
        })?),
        None => None,
    };
    let backend = variables
        .find(manifest.name.as_str(), "DOCKER_NETWORK")
        .map_or_else(|| format!("{}_network", shared.project.name), |(name, _)| name);
    Ok(Wanted {
        manifest,
        project: shared.project,
        home: &shared.home,
        transaction,
        digest: package.digest(),
        environment: assembled.pairs(),
        ports,
        memory,
        backend_network: before.observed.network(&backend).map(|network| network.name.clone()),
    })
}

fn wanted_ports(manifest: &Manifest, variables: &Variables<'_>) -> Result<Vec<(Port, u16)>, Problem> {
    let ports = manifest.ports.iter().map(|port| {
        let host = host_port(&manifest.name, port.variable.as_deref(), port.port, variables);
        host.map(|host| (port.clone(), host)).map_err(|message| Problem { code: "port.malformed", message, hint: None })
    });
    ports.collect()
}

/// The port that the registry tells, before anything is downloaded.
async fn check_port_early(shared: &Shared<'_>, docker: &Docker, target: &Target, before: &Before) -> Result<(), Error> {
    let Source::Release(release) = &target.source else { return Ok(()) };
    let Some(port) = release.port else { return Ok(()) };
    let variable = format!("{}_PORT", target.name.variable_prefix());
    let variables = variables(shared, &before.values);
    let host = host_port(&target.name, Some(&variable), port, &variables)
        .map_err(|message| Error::Preflight(vec![Problem { code: "port.malformed", message, hint: None }]))?;
    match check_port(shared, docker, target.name.clone(), (host, Some(&variable)), &before.observed).await? {
        Some(problem) => Err(Error::Preflight(vec![problem])),
        None => Ok(()),
    }
}

/// The problem with a port, if there is one: held by somebody, or claimed by another plugin of this command.
async fn check_port(
    shared: &Shared<'_>,
    docker: &Docker,
    plugin: PluginName,
    (port, variable): (u16, Option<&str>),
    observed: &Observed,
) -> Result<Option<Problem>, Error> {
    if let Ok(mut claimed) = shared.claimed.lock() {
        let owner = claimed.entry(port).or_insert_with(|| plugin.clone());
        if *owner != plugin {
            let hint = variable.map(|variable| format!("move one of them: {variable}={} …", port.saturating_add(10)));
            let message = format!("port {port} is wanted by both `{owner}` and `{plugin}`");
            return Ok(Some(Problem { code: "port.twice", message, hint }));
        }
    }
    let is_own = observed
        .of_plugin(&shared.project.name, plugin.as_str())
        .any(|container| container.ports.iter().any(|published| published.host == port));
    if is_own || preflight::is_port_free(port) {
        return Ok(None);
    }
    let holder = preflight::port_holder(docker, port).await?;
    Ok(Some(preflight::port_taken(&plugin, port, variable, &holder)))
}

/// Everything that can be known to fail is found here, all of it at once.
async fn check(
    shared: &Shared<'_>,
    target: &Target,
    wanted: &Wanted<'_>,
    assembled: &Assembled,
    observed: &Observed,
) -> Result<(), Error> {
    let docker = shared.cx.docker().await?;
    let name = &wanted.manifest.name;
    let mut problems = preflight::missing_variables(name, &assembled.missing);
    if wanted.manifest.requires.host.is_some() || target.lowest_host().is_some() {
        let host = crate::backend::host_version().await;
        problems.extend(preflight::host_too_old(wanted.manifest, target.lowest_host(), &host));
    }
    problems.extend(preflight::privileges(wanted.manifest, shared.allow_privileged));
    for (port, host) in &wanted.ports {
        let claim = (*host, port.variable.as_deref());
        problems.extend(check_port(shared, docker, name.clone(), claim, observed).await?);
    }
    let container = wanted.container_name();
    if docker.holder_of_name(&container, &shared.home).await? == Some(false) {
        problems.push(preflight::name_taken(name, &container));
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::Preflight(problems)) }
}

async fn find_image(
    docker: &Docker,
    recipe: &Recipe,
    package: &Package,
    transaction: &str,
) -> Result<ImageNeed, Error> {
    let manifest = package.manifest();
    match recipe {
        Recipe::Image { reference } => Ok(match docker.inspect_image(reference).await? {
            Some(image) => {
                preflight::check_platform(&manifest.name, reference, &image.platform)?;
                ImageNeed::Present { reference: reference.clone(), id: image.id }
            }
            None => ImageNeed::Pull { reference: reference.clone() },
        }),
        Recipe::Dockerfile { .. } => {
            let distinct = match package.digest() {
                Some(digest) => digest.to_hex()[..8].to_owned(),
                // A folder on this machine may change from one installation to the next.
                None => transaction.rsplit('.').next().unwrap_or_default()[..8].to_owned(),
            };
            let tag = format!("nself/{}:{}-{distinct}", manifest.name, manifest.version);
            let found = match package.digest() {
                Some(digest) => docker.image_with_digest(&digest.to_string()).await?,
                None => None,
            };
            Ok(found.map_or(ImageNeed::Build { tag: tag.clone() }, |id| ImageNeed::Present { reference: tag, id }))
        }
    }
}

fn activation(cx: &Context, package: &Package, receipt: Option<&Receipt>) -> Result<Option<Activation>, Error> {
    let manifest = package.manifest();
    let active = cx.state.active_package(manifest.name.as_str());
    if package.root() == active {
        return Ok(None);
    }
    let metadata = std::fs::symlink_metadata(package.root()).map_err(fs::failed("look at", package.root()))?;
    let is_link = std::fs::symlink_metadata(&active).is_ok_and(|metadata| metadata.is_symlink());
    if is_link {
        return Err(Error::Preflight(vec![preflight::package_is_link(&manifest.name, &active)]));
    }
    Ok(Some(Activation {
        staged: package.root().to_path_buf(),
        staged_inode: metadata.ino(),
        keep_earlier_at: receipt
            .filter(|_| active.exists())
            .map(|receipt| cx.state.earlier_package(&manifest.name, &receipt.version)),
        active,
    }))
}

fn other_projects(cx: &Context, own: &str, name: &PluginName) -> Result<Vec<String>, Error> {
    let mut others = Vec::new();
    for project in cx.state.projects()? {
        if project != own && cx.state.receipt(&project, name).is_ok_and(|receipt| receipt.is_some()) {
            others.push(project);
        }
    }
    Ok(others)
}

/// The values that must not appear in what a failure shows.
fn secrets(manifest: &Manifest, assembled: &Assembled) -> Vec<String> {
    let declared = manifest.variables.iter().filter(|variable| variable.secret).map(|variable| variable.name.as_str());
    let looks_secret =
        |key: &&str| ["SECRET", "PASSWORD", "TOKEN", "KEY", "_URL"].iter().any(|part| key.contains(part));
    let others = assembled.values.keys().map(String::as_str).filter(looks_secret);
    let keys: std::collections::BTreeSet<&str> = declared.chain(others).collect();
    keys.into_iter().filter_map(|key| assembled.values.get(key).map(|(value, _)| value.clone())).collect()
}

fn receipt(
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
        ImageNeed::Present { reference, id } => {
            let was_owned = earlier.is_some_and(|receipt| receipt.image.id == *id && receipt.image.owned);
            (reference, was_owned || manifest.service.image.is_none())
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
        dependencies: target.dependencies.clone(),
        granted: preflight::granted(manifest),
        health_path: manifest.service.health_path.clone().unwrap_or_else(|| "/health".to_owned()),
        transaction: wanted.transaction.to_owned(),
        installed_at: unix_seconds(now()),
        healthy_after_milliseconds: u64::try_from(proven.healthy_after.as_millis()).unwrap_or(u64::MAX),
        others: BTreeMap::new(),
    }
}
