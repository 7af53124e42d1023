//! The pipeline of one plugin: each line turns one value into the next. Nothing on the engine changes before every
//! check has passed; from there on `apply` keeps what it needs to undo it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, OnceLock};

use crate::apply::{self, Job, Order, Progress, Proven};
use crate::cli::BuildAllowed;
use crate::context::Context;
use crate::docker::{Docker, EngineError, Observed, ObservedContainer, label};
use crate::environment::{Assembled, Variables, assemble};
use crate::error::Error;
use crate::fs;
use crate::health::Verdict;
use crate::name::{Digest, PluginName};
use crate::needs;
use crate::package::manifest::{Manifest, Variable};
use crate::package::recipe::Recipe;
use crate::package::{Package, VerifyPolicy};
use crate::plan::{self, Activation, ImageNeed, Plan, Situation, Wanted};
use crate::preflight;
use crate::project::Project;
use crate::registry::{PassedOver, RegistryError};
use crate::state::{Lock, Receipt, ReceiptImage, State, StateError};
use crate::ui::Event;
use crate::undo;
use crate::values::Values;

use super::builds;
use super::checks::{LeftOut, check, check_port_early, leave_out_taken, wanted_ports};
use super::current::find_current;
use super::downloads::Downloads;
use super::fitness::Fitness;
use super::receipt::{receipt, secrets};
use super::report::{How, Outcome};
use super::stage::stage;
use crate::commands::next::unset;
use crate::commands::target::Target;

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
    pub(super) is_offline: bool,
    pub(super) allow_privileged: bool,
    pub(super) allow_build: Option<BuildAllowed>,
    /// The plugins that may have what they ask for, whatever the others may.
    pub(super) granted: &'a [PluginName],
    pub(super) force: bool,
    pub(super) dry_run: bool,
    pub(super) downloads: &'a Downloads,
    /// The locks of plugins whose archives were fetched, until they are installed.
    pub(super) locks: Mutex<HashMap<PluginName, Lock>>,
    /// The plugins that the command line names, itself or by a set.
    pub(super) named: BTreeSet<PluginName>,
    /// Whether an image must be made for one of them, as far as that can be told before the engine is asked.
    pub(super) makes_images: bool,
    pub(super) fitness: Fitness,
    /// The addresses of services that plugins need, by the service's name.
    pub(super) services: BTreeMap<String, String>,
    /// Passwords of services that this command installs, by variable: their dependents get the same.
    pub(super) passwords: BTreeMap<String, String>,
    /// Whether the project's network was there before this command made it.
    pub(super) had_network: OnceLock<bool>,
    /// Ports that a plugin of this command has claimed.
    pub(super) claimed: Mutex<HashMap<u16, PluginName>>,
}

impl Shared<'_> {
    /// Whether the user grants a plugin what it asks for beyond the hardened defaults.
    pub(super) fn grants(&self, plugin: &PluginName) -> bool {
        self.allow_privileged || self.granted.contains(plugin)
    }

    /// How values are generated for a plugin. A service that is there already gets no password, because the applications
    /// that use it do not know one.
    pub(super) fn generator(&self, before: &Before) -> impl Fn(&Variable, usize) -> Option<String> {
        let is_installed = before.receipt.is_some();
        move |variable, length| match self.passwords.get(&variable.name) {
            Some(password) => Some(password.clone()),
            None if is_installed && needs::is_password(&variable.name) => None,
            None => Some(fs::random_secret(length)),
        }
    }

    fn take_lock(&self, plugin: &PluginName) -> Option<Lock> {
        self.locks.lock().ok()?.remove(plugin)
    }
}

/// What is known before the package is there.
pub(super) struct Before {
    pub(super) receipt: Option<Receipt>,
    pub(super) observed: Observed,
    pub(super) values: Values,
}

impl Before {
    /// Whether nothing of the plugin was there.
    fn is_new(&self, shared: &Shared<'_>, plugin: &PluginName) -> bool {
        self.receipt.is_none() && self.container_of(shared, plugin.as_str()).is_none()
    }

    /// The plugin's container.
    pub(super) fn container_of(&self, shared: &Shared<'_>, plugin: &str) -> Option<&ObservedContainer> {
        let listed = self.receipt.as_ref().and_then(|receipt| receipt.container_in(&self.observed));
        listed.or_else(|| self.observed.container(&shared.project.object_name(plugin)))
    }
}

/// How often an installation is begun at most, where an image or a network goes between the look at it and its use.
const BEGINNINGS: usize = 3;

/// Installs one plugin, or finds it as wanted, or leaves everything as it was. A new plugin is prepared beside those
/// that it needs, and started when the order allows it.
pub(super) async fn install(shared: &Shared<'_>, target: &Target, order: &Order) -> Result<Outcome, Error> {
    let cx = shared.cx;
    let _lock = match shared.take_lock(&target.name) {
        Some(lock) => lock,
        None => cx.lock(&target.name).await?,
    };
    if !shared.dry_run {
        undo::recover_plugin(cx, &shared.project.name, &target.name).await?;
    }
    for _ in 1..BEGINNINGS {
        match attempt(shared, target, order).await {
            // Another home shares its images, another plugin's undo the network: this plugin's lock does not keep them.
            Err(Error::Engine(error @ EngineError::Vanished { .. })) => {
                let text = format!("{error}; beginning anew");
                cx.reporter.event(Event::Started { plugin: target.name.as_str(), what: &text });
            }
            ended => return ended,
        }
    }
    attempt(shared, target, order).await
}

async fn attempt(shared: &Shared<'_>, target: &Target, order: &Order) -> Result<Outcome, Error> {
    let cx = shared.cx;
    let docker = cx.docker().await?;
    order.tell(Progress::Preparing);
    order.check()?;
    let receipt = receipt_before(shared, target)?;
    // Whether an installed plugin is as it should be shows only when what it needs is there.
    if receipt.is_some() {
        order.tell(Progress::Sure);
        order.wait_until_installed().await?;
    }
    let before = Before {
        receipt,
        observed: docker.observe(&shared.home).await?,
        values: Values::read(&cx.settings.config_dir, &shared.project.name)?,
    };
    // The first look of all comes before anything is made.
    shared.had_network.get_or_init(|| before.observed.network(&shared.project.network()).is_some());
    if let Some(current) = find_current(shared, target, &before).await? {
        return Ok(current);
    }
    check_port_early(shared, target, &before.values, &before.observed).await?;
    let transaction = format!("{}.{}", target.name, fs::random_id());
    let outcome = stage_and_apply(shared, (target, order), &before, &transaction).await;
    if outcome.is_err() || shared.dry_run {
        // Where an undo was incomplete, the record stays and with it the staging folder.
        if !cx.state.is_open(&transaction) {
            fs::remove_tree(&cx.state.staging(&transaction))?;
        }
    }
    outcome
}

fn receipt_before(shared: &Shared<'_>, target: &Target) -> Result<Option<Receipt>, Error> {
    match shared.cx.state.receipt(&shared.project.name, &target.name) {
        Ok(receipt) => Ok(receipt),
        // A broken receipt must not stand in the way of the installation that mends it.
        Err(error @ StateError::BrokenReceipt { .. }) if shared.force => {
            shared.cx.reporter.event(Event::Warning { text: &error.to_string() });
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Everything from the archive on.
async fn stage_and_apply(
    shared: &Shared<'_>,
    (target, order): (&Target, &Order),
    before: &Before,
    transaction: &str,
) -> Result<Outcome, Error> {
    let cx = shared.cx;
    let package = stage_beside_fitness(shared, target, before, transaction).await?;
    let refused = |source| Error::Package { plugin: target.name.as_str().to_owned(), source };
    let recipe = Recipe::choose(&package).map_err(refused)?;
    let assembled =
        assemble(package.manifest(), &variables(shared, &before.values), &shared.services, &shared.generator(before));
    warn_of_variables(cx, &assembled);
    let (wanted, left_out) = want(shared, (package.manifest(), package.digest()), &assembled, before, transaction)?;
    let image = check_and_find_image(shared, target, (&wanted, &assembled, before), (&recipe, &package)).await?;
    let build = builds::check(shared, target, (&recipe, &package), (&image, before.receipt.as_ref()))?;
    let activation = activation(cx, &package, before.receipt.as_ref())?;
    let situation = Situation {
        observed: &before.observed,
        receipt: before.receipt.as_ref(),
        image,
        generated: assembled.generated.iter().map(|(key, _)| key.clone()).collect(),
        activate: activation.clone(),
        had_network: shared.had_network.get().copied().unwrap_or(false),
        other_projects: other_projects(cx, &shared.project.name, &target.name)?,
        is_unhealthy: is_unhealthy(shared, before, &target.name).await,
    };
    let (mut plan, undo) = plan::install(&wanted, &situation);
    note_left_out(shared, &mut plan, left_out);
    plan.notes.extend(builds::note(&recipe, build));
    let is_new = before.is_new(shared, &target.name);
    if shared.dry_run {
        return planned(plan, order, is_new).await;
    }
    tell_notes(cx, &plan);
    let job = Job {
        plan: &plan,
        undo,
        transaction,
        order,
        is_new,
        services: &package.manifest().requires.services,
        recipe: &recipe,
        activation: activation.as_ref(),
        generated: &assembled.generated,
        labels: apply::transaction_labels(&target.name, &shared.project.name, &shared.home, transaction),
        image_labels: image_labels(&package, &shared.home),
        build_network: build.has_network(),
        secrets: secrets(package.manifest(), &assembled),
    };
    let facts = (&wanted, &situation, &assembled);
    let draft = |proven: &Proven| with_grants(receipt(shared, target, &package, facts, proven), build.granted());
    let (proven, receipt) = apply_and_keep(cx, &job, draft).await?;
    Ok(Outcome::Installed {
        how: how(shared, before, &wanted, activation.is_some()),
        receipt: Box::new(receipt),
        verdict: proven.verdict.unwrap_or(Verdict::Healthy),
        generated: situation.generated.clone(),
        passed_over: target.passed_over.clone(),
        earlier: other_version(before, package.manifest()),
        unset: unset(package.manifest(), &assembled),
    })
}

fn with_grants(mut receipt: Receipt, granted: impl IntoIterator<Item = String>) -> Receipt {
    receipt.granted.extend(granted);
    receipt
}

/// Runs the plan; returns what its steps brought about, and the receipt that was written.
async fn apply_and_keep(
    cx: &Context,
    job: &Job<'_>,
    draft: impl Fn(&Proven) -> Receipt,
) -> Result<(Proven, Receipt), Error> {
    let mut written = None;
    let proven = apply::run(cx, job, |proven| written.insert(draft(proven)).clone()).await?;
    let receipt = written.ok_or(Error::Interrupted)?;
    remember_image(cx, &receipt, job.recipe)?;
    Ok((proven, receipt))
}

/// Whether the earlier version runs and does not answer well: then it need not after a rollback.
async fn is_unhealthy(shared: &Shared<'_>, before: &Before, plugin: &PluginName) -> bool {
    let is_running = before.container_of(shared, plugin.as_str()).is_some_and(ObservedContainer::is_running);
    match before.receipt.as_ref().and_then(Receipt::probe) {
        Some(probe) if is_running => !probe.ask().await.is_usable(),
        _ => false,
    }
}

fn warn_of_variables(cx: &Context, assembled: &Assembled) {
    for note in assembled.notes.iter().filter(|note| !note.is_required()) {
        cx.warn(&note.to_string());
    }
}

fn note_left_out(shared: &Shared<'_>, plan: &mut Plan, left_out: Vec<LeftOut>) {
    for LeftOut { text, .. } in left_out.iter().filter(|port| port.is_asked_for && !shared.dry_run) {
        shared.cx.warn(text);
    }
    plan.notes.extend(left_out.into_iter().map(|port| port.text));
}

/// Notes the image of an archive, so that a later installation uses it again.
fn remember_image(cx: &Context, receipt: &Receipt, recipe: &Recipe) -> Result<(), Error> {
    if let (Some(digest), true) = (receipt.digest, receipt.image.owned)
        && matches!(recipe, Recipe::Dockerfile { .. })
    {
        cx.state.remember_image(&digest, &receipt.image.id)?;
    }
    Ok(())
}

/// A package may say of itself that it cannot be installed, whatever its registry says.
fn check_installable(target: &Target, package: &Package) -> Result<(), Error> {
    let Some(reason) = &package.manifest().not_installable else { return Ok(()) };
    let from = PassedOver { registry: target.registry_or(None), reason: reason.clone() };
    Err(RegistryError::NotUsable { name: target.name.clone(), searched: vec![from], needs_licence: false }.into())
}

/// The version that was installed before, where it is another one.
fn other_version(before: &Before, manifest: &Manifest) -> Option<semver::Version> {
    let earlier = before.receipt.as_ref().map(|receipt| receipt.version.clone());
    earlier.filter(|version| *version != manifest.version)
}

/// A plan that could be carried out, when those of the plugins that it needs could be, and of one for which it comes along.
async fn planned(plan: Plan, order: &Order, is_new: bool) -> Result<Outcome, Error> {
    order.tell(Progress::Sure);
    if is_new {
        order.wait_until_wanted().await?;
    }
    order.wait_until_installed().await?;
    Ok(Outcome::Planned(Box::new(plan)))
}

/// The package in staging, while the machine is looked at. Before anything is fetched over a network it must be fit.
async fn stage_beside_fitness(
    shared: &Shared<'_>,
    target: &Target,
    before: &Before,
    transaction: &str,
) -> Result<Package, Error> {
    if target.is_foreign() {
        shared.fitness.check(shared).await?;
    }
    let package = stage(shared, target, before, transaction).await;
    if package.is_err() {
        // A full disk is told as what it is.
        shared.fitness.check(shared).await?;
    }
    let package = package?;
    check_installable(target, &package)?;
    Ok(package)
}

fn how(shared: &Shared<'_>, before: &Before, wanted: &Wanted<'_>, is_other_package: bool) -> How {
    let container = before.container_of(shared, wanted.manifest.name.as_str());
    match (&before.receipt, container) {
        (None, _) => How::New,
        _ if is_other_package => How::Replaced,
        (_, Some(container)) if container.config_hash != wanted.config_hash() => How::Reconfigured,
        _ => How::Repaired,
    }
}

fn tell_notes(cx: &Context, plan: &Plan) {
    for note in &plan.notes {
        cx.reporter.event(Event::Detail { plugin: plan.plugin.as_str(), text: note });
    }
}

/// What an imported image says of itself, for people and for `doctor`; nothing is concluded from it.
fn image_labels(package: &Package, home: &str) -> BTreeMap<String, String> {
    let manifest = package.manifest();
    let digest = package.digest().map(|digest| digest.to_string()).unwrap_or_default();
    let labels = [
        (label::HOME, home.to_owned()),
        (label::PLUGIN, manifest.name.as_str().to_owned()),
        (label::VERSION, manifest.version.to_string()),
        (label::DIGEST, digest),
    ];
    labels.map(|(key, value)| (key.to_owned(), value)).into()
}

pub(super) fn variables<'a>(shared: &'a Shared<'_>, values: &'a Values) -> Variables<'a> {
    Variables { flags: &shared.flags, process: &shared.cx.process_environment, project: shared.project, values }
}

/// What the plugin should be like, and which of its ports are left out.
pub(super) fn want<'a>(
    shared: &'a Shared<'_>,
    (manifest, digest): (&'a Manifest, Option<Digest>),
    assembled: &Assembled,
    before: &Before,
    transaction: &'a str,
) -> Result<(Wanted<'a>, Vec<LeftOut>), Error> {
    let variables = &variables(shared, &before.values);
    let ports = wanted_ports(manifest, variables).map_err(|problem| Error::Preflight(vec![problem]))?;
    let memory = preflight::memory_limit(manifest, variables).map_err(|problem| Error::Preflight(vec![problem]))?;
    let backend = variables.backend_network(manifest.name.as_str());
    let mut wanted = Wanted {
        manifest,
        project: shared.project,
        home: &shared.home,
        transaction,
        digest,
        environment: assembled.pairs(),
        ports,
        memory,
        backend_network: before.observed.network(&backend).map(|network| network.name.clone()),
    };
    let left_out = leave_out_taken(shared, &mut wanted, before, variables);
    Ok((wanted, left_out))
}

/// Looks at the engine side by side, since each takes it a moment; what stands in the way is told before a wrong image.
async fn check_and_find_image(
    shared: &Shared<'_>,
    target: &Target,
    (wanted, assembled, before): (&Wanted<'_>, &Assembled, &Before),
    (recipe, package): (&Recipe, &Package),
) -> Result<ImageNeed, Error> {
    let docker = shared.cx.docker().await?;
    let (fit, checked, image) = tokio::join!(
        shared.fitness.check(shared),
        check(shared, target, wanted, assembled, before),
        find_image(&shared.cx.state, docker, (recipe, package), wanted.transaction)
    );
    fit?;
    checked?;
    let image = image?;
    if !matches!(image, ImageNeed::Present { .. }) {
        shared.fitness.check_for_images(shared).await?;
    }
    shared.fitness.count_memory(shared, wanted, &before.observed);
    Ok(image)
}

async fn find_image(
    state: &State,
    docker: &Docker,
    (recipe, package): (&Recipe, &Package),
    transaction: &str,
) -> Result<ImageNeed, Error> {
    let manifest = package.manifest();
    match recipe {
        Recipe::Image { reference } => Ok(match docker.inspect_image(reference).await? {
            Some(image) => {
                preflight::check_platform(&manifest.name, reference, &image.platform)?;
                ImageNeed::Present { reference: reference.clone(), id: image.id, owned: false }
            }
            None => ImageNeed::Pull { reference: reference.clone() },
        }),
        Recipe::Dockerfile { .. } => {
            // A name that no other transaction gives: whatever carries it after an interruption is this one's.
            let distinct = &transaction.rsplit('.').next().unwrap_or_default()[..8];
            let reference = format!("nself/{}:{}-{distinct}", manifest.name, manifest.version);
            Ok(match known_image(state, docker, package).await? {
                Some(image) => ImageNeed::Present { reference: image.reference, id: image.id, owned: true },
                None => ImageNeed::Build { tag: reference },
            })
        }
    }
}

/// The image that this installation's own records say was made from the package's archive, if the engine still has it.
async fn known_image(state: &State, docker: &Docker, package: &Package) -> Result<Option<ReceiptImage>, Error> {
    let Some(digest) = package.digest() else { return Ok(None) };
    let name = &package.manifest().name;
    let mut known = Vec::new();
    for project in state.projects()? {
        let receipt = state.receipt(&project, name).ok().flatten();
        known.extend(receipt.filter(|receipt| receipt.digest == Some(digest)).map(|receipt| receipt.image));
    }
    known.retain(|image| image.owned);
    known.extend(state.image_of(&digest)?.map(|id| ReceiptImage { reference: id.clone(), id, owned: true }));
    for image in known {
        if docker.inspect_image(&image.id).await?.is_some_and(|found| found.id == image.id) {
            return Ok(Some(image));
        }
    }
    Ok(None)
}

fn activation(cx: &Context, package: &Package, receipt: Option<&Receipt>) -> Result<Option<Activation>, Error> {
    let manifest = package.manifest();
    let active = cx.state.active_package(manifest.name.as_str());
    if package.root() == active {
        return Ok(None);
    }
    let is_link = std::fs::symlink_metadata(&active).is_ok_and(|metadata| metadata.is_symlink());
    if is_link {
        return Err(Error::Preflight(vec![preflight::package_is_link(&manifest.name, &active)]));
    }
    // Another project may have the version that is active now.
    let earlier = Package::peek(&active).ok().map(|manifest| manifest.version);
    let is_kept = receipt.is_some() || earlier.as_ref().is_some_and(|version| *version != manifest.version);
    let earlier = earlier.or_else(|| receipt.map(|receipt| receipt.version.clone())).filter(|_| active.exists());
    Ok(Some(Activation {
        staged: package.root().to_path_buf(),
        keep_earlier_at: earlier.filter(|_| is_kept).map(|version| cx.state.earlier_package(&manifest.name, &version)),
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
