//! Doing: runs a plan's steps, one call or file operation each. Decides nothing; what fails is undone by `undo` from
//! the record that is on disk before the first step.

mod image;
mod order;
mod proof;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::context::{Context, now, unix_seconds};
use crate::docker::{ContainerSpec, Docker, EngineError, ExitWatch, Restarts, label};
use crate::environment::{waits_for_gateways, with_gateways};
use crate::error::Error;
use crate::fs;
use crate::health::{Probe, Verdict};
use crate::name::PluginName;
use crate::needs::ServiceNeed;
use crate::package::recipe::Recipe;
use crate::plan::{Action, Activation, Plan};
use crate::state::{RECORD_SCHEMA, Receipt, Record, Undo};
use crate::ui::Event;
use crate::undo;
use crate::values;

pub use order::{Order, Other, Progress};
pub use proof::Proof;

/// All that an installation needs besides its plan.
#[derive(Debug)]
pub struct Job<'a> {
    pub plan: &'a Plan,
    pub undo: Vec<Undo>,
    pub transaction: &'a str,
    /// When it may be started, and whether it may stay.
    pub order: &'a Order,
    /// Whether nothing of the plugin was there before.
    pub is_new: bool,
    /// What its manifest says of the services that it needs.
    pub services: &'a [ServiceNeed],
    pub recipe: &'a Recipe,
    pub activation: Option<&'a Activation>,
    /// Values made at random, by name.
    pub generated: &'a [(String, String)],
    /// Labels of everything that the transaction makes.
    pub labels: BTreeMap<String, String>,
    /// Labels of the image that is imported.
    pub image_labels: BTreeMap<String, String>,
    /// Whether the programs of a build may use the network.
    pub build_network: bool,
    /// Values that must not be shown, whatever a container logs.
    pub secrets: Vec<String>,
}

/// What the steps brought to light.
#[derive(Debug, Default, Clone)]
pub struct Proven {
    pub image_id: String,
    pub container_id: String,
    pub verdict: Option<Verdict>,
    pub healthy_after: Duration,
}

/// Runs an installation's plan. `receipt` is written when everything is proven.
pub async fn run(cx: &Context, job: &Job<'_>, receipt: impl FnOnce(&Proven) -> Receipt) -> Result<Proven, Error> {
    let record = Record {
        schema: RECORD_SCHEMA.to_owned(),
        id: job.transaction.to_owned(),
        created_at: unix_seconds(now()),
        plugin: job.plan.plugin.clone(),
        project: job.plan.project.clone(),
        engine: Some(cx.docker().await?.identity().await?),
        is_removal: false,
        undo: job.undo.clone(),
        finish: job.plan.finish(),
    };
    cx.state.begin(&record)?;
    match steps(cx, job, receipt).await {
        Ok(proven) => {
            for left in undo::finish(cx, &record).await {
                cx.reporter.event(Event::Warning { text: &format!("{}: {left}", job.plan.plugin) });
            }
            Ok(proven)
        }
        Err(cause) => {
            cx.reporter.event(Event::Started { plugin: job.plan.plugin.as_str(), what: "failed; rolling back" });
            let left = undo::undo(cx, &record).await;
            if left.is_empty() { Err(cause) } else { Err(Error::RollbackIncomplete { cause: Box::new(cause), left }) }
        }
    }
}

async fn steps(cx: &Context, job: &Job<'_>, receipt: impl FnOnce(&Proven) -> Receipt) -> Result<Proven, Error> {
    let docker = cx.docker().await?;
    // Written through while the image is built and the container starts; awaited before it is made active.
    let staged = job.activation.map(|activation| activation.staged.clone());
    let synced = staged.map(|staged| tokio::task::spawn_blocking(move || fs::sync_tree(&staged)));
    let mut run = Run { cx, job, docker, proven: Proven::default(), exit: None, started: None, synced };
    let mut receipt = Some(receipt);
    for step in &job.plan.steps {
        if cx.interrupt.is_wanted() {
            return Err(Error::Interrupted);
        }
        job.order.check()?;
        match &step.action {
            Action::WriteReceipt => {
                if let Some(receipt) = receipt.take() {
                    cx.state.write_receipt(&receipt(&run.proven))?;
                }
            }
            // After the commit point; `undo::finish` does these, here and after a kill.
            Action::Finish(_) => {}
            action => run.step(action).await?,
        }
    }
    Ok(run.proven)
}

struct Run<'a> {
    cx: &'a Context,
    job: &'a Job<'a>,
    docker: &'a Docker,
    proven: Proven,
    exit: Option<ExitWatch>,
    started: Option<tokio::time::Instant>,
    synced: Option<tokio::task::JoinHandle<Result<(), fs::FileError>>>,
}

impl Run<'_> {
    async fn step(&mut self, action: &Action) -> Result<(), Error> {
        let (what, subject) = action.words();
        self.cx.reporter.event(Event::Detail { plugin: self.plugin(), text: &format!("{what} {subject}") });
        match action {
            Action::StoreValues { .. } => self.store_values()?,
            Action::UseImage { id, .. } => self.proven.image_id.clone_from(id),
            Action::BuildImage { tag } => self.build(tag).await?,
            Action::PullImage { reference } => self.pull(reference).await?,
            Action::CreateNetwork { name } => self.create_network(name).await?,
            Action::CreateVolume { name } => self.docker.create_volume(name, self.job.labels.clone()).await?,
            Action::CreateContainer { spec } => {
                let environment = self.environment(spec).await?;
                let spec = ContainerSpec { image: self.proven.image_id.clone(), environment, ..(**spec).clone() };
                let made = self.docker.create_container(&spec).await;
                self.proven.container_id = made.map_err(EngineError::if_vanished)?;
            }
            Action::JoinNetwork { network, container } => {
                let joined = self.docker.join_network(network, container, &self.job.plan.plugin.aliases()).await;
                joined.map_err(EngineError::if_vanished)?;
            }
            Action::StopContainer { id, .. } => self.docker.stop_container(id).await?,
            Action::StartContainer { name } => self.start(name).await?,
            Action::WaitHealthy { container, port, path } => {
                let probe = port.map(|port| Probe { port, path: path.clone() });
                self.wait_healthy(container, probe).await?;
            }
            Action::RenameContainer { to, id, .. } => {
                self.docker.rename_container(id.as_ref().unwrap_or(&self.proven.container_id), to).await?;
            }
            Action::ActivatePackage { .. } => self.activate().await?,
            Action::WriteReceipt | Action::Finish(_) => {}
        }
        Ok(())
    }

    fn plugin(&self) -> &str {
        self.job.plan.plugin.as_str()
    }

    /// The container's environment with the gateways of all networks that it will be on.
    async fn environment(&self, spec: &ContainerSpec) -> Result<Vec<String>, Error> {
        if !waits_for_gateways(&spec.environment) {
            return Ok(spec.environment.clone());
        }
        let joined = self.job.plan.steps.iter().filter_map(|step| match &step.action {
            Action::JoinNetwork { network, .. } => Some(network.as_str()),
            _ => None,
        });
        let mut gateways = Vec::new();
        for network in std::iter::once(spec.network.as_str()).chain(joined) {
            gateways.extend(self.docker.gateways(network).await.map_err(EngineError::if_vanished)?);
        }
        Ok(with_gateways(&spec.environment, &gateways))
    }

    fn started(&self, what: &str) {
        self.cx.reporter.event(Event::Started { plugin: self.job.plan.plugin.as_str(), what });
    }

    fn store_values(&self) -> Result<(), Error> {
        let owner = (self.job.plan.project.as_str(), self.plugin());
        let config_dir = &self.cx.settings.config_dir;
        Ok(values::stage_generated(config_dir, self.job.transaction, owner, self.job.generated)?)
    }

    /// Several plugins of one new project create the same network at the same time, hence the lock. The lock is the
    /// installation's: of another one's network of this name the engine tells.
    async fn create_network(&self, name: &str) -> Result<(), Error> {
        let _lock = self.cx.state.lock("_network", self.cx.settings.lock_timeout).await?;
        let home = self.cx.state.home_id()?;
        let observed = self.docker.observe(&home).await?;
        if observed.network(name).is_some() || self.docker.create_network(name, self.job.labels.clone()).await? {
            return Ok(());
        }
        // Somebody created it since: fine unless it is another installation, whose network would go with its plugins.
        let observed = self.docker.observe(&home).await?;
        match observed.network(name).and_then(|network| network.home.as_ref()) {
            Some(other) if *other != home => Err(EngineError::NameTaken { name: name.to_owned() }.into()),
            _ => Ok(()),
        }
    }

    async fn wait_to_start(&self) -> Result<(), Error> {
        let awaited = self.job.order.awaited(self.job.services);
        if !awaited.is_empty() {
            self.started(&format!("waiting for {}", awaited.join(", ")));
        }
        tokio::select! {
            may_start = self.job.order.wait_to_start(self.job.services) => may_start,
            error = self.job.order.failure() => Err(error),
            () = self.cx.interrupt.wanted() => Err(Error::Interrupted),
        }
    }

    async fn start(&mut self, container: &str) -> Result<(), Error> {
        self.wait_to_start().await?;
        self.started("starting");
        // Before the start, so that an exit at once is not missed.
        self.exit = Some(self.docker.watch_exit(&self.proven.container_id).await?);
        self.started = Some(tokio::time::Instant::now());
        self.job.order.tell(Progress::Starting);
        let started = self.docker.start_container(container, Restarts::Never).await;
        Ok(started.map_err(EngineError::if_vanished)?)
    }

    async fn activate(&mut self) -> Result<(), Error> {
        let Some(activation) = self.job.activation else { return Ok(()) };
        if let Some(synced) = self.synced.take() {
            synced.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        }
        // By this the rollback knows whether the active package is the transaction's.
        let marker = undo::marker(&activation.staged, self.job.transaction);
        std::fs::write(&marker, b"").map_err(fs::failed("write", &marker))?;
        fs::sync_folder(&activation.staged)?;
        if activation.active.symlink_metadata().is_ok() {
            fs::exchange(&activation.staged, &activation.active)?;
        } else {
            fs::rename(&activation.staged, &activation.active)?;
        }
        Ok(fs::sync_folder(activation.active.parent().unwrap_or(&activation.active))?)
    }
}

/// The labels that everything made by a transaction carries.
pub fn transaction_labels(
    plugin: &PluginName,
    project: &str,
    home: &str,
    transaction: &str,
) -> BTreeMap<String, String> {
    BTreeMap::from([
        (label::PLUGIN.to_owned(), plugin.as_str().to_owned()),
        (label::PROJECT.to_owned(), project.to_owned()),
        (label::HOME.to_owned(), home.to_owned()),
        (label::TRANSACTION.to_owned(), transaction.to_owned()),
    ])
}
