//! Gathers every fact that the doctor judges: asks the engine, the registries and the backend CLI at the same time, then
//! looks at plugins and leftovers. Changes nothing: makes no folder, takes no lock, writes no cache.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Access as Permission;

use super::candidates::Ground;
use super::engine::EngineFacts;
use super::finding::Trouble;
use super::leftovers::{self, Leftovers, OnEngine};
use super::machine::{Disk, Folder, FolderState};
use super::plugins::PluginFacts;
use super::registries::{AddressFacts, RegistriesFacts};
use super::surroundings::{BackendFacts, EnvFileFacts, NetworkFacts, ProjectFacts, names_a_secret};
use crate::backend;
use crate::cli::{DoctorArguments, RegistryFlags};
use crate::commands::sets;
use crate::context::{Context, now};
use crate::docker::{Docker, EngineInfo, ListedImage, Observed, OthersContainer, label};
use crate::env_file::FileValue;
use crate::environment::Variables;
use crate::error::Error;
use crate::fs;
use crate::http::{Deadlines, Http};
use crate::machine::{Asked, Memory, Space, Store, nearest};
use crate::name::PluginSpec;
use crate::project::{self, DEFAULT_PROJECT, NameSource, Project, ProjectError, Strictness};
use crate::registries;
use crate::registry::{Access, Catalog, LoadFailure, Loaded, Origin, Source, age_text};
use crate::values::Values;

/// How long each registry address may take; all are asked at once.
const ADDRESS_DEADLINE: Duration = Duration::from_secs(5);
/// How long an engine that accepts connections may take to answer all that it is asked.
const ENGINE_DEADLINE: Duration = Duration::from_secs(15);

/// Everything that is judged.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) engine: EngineFacts,
    pub(super) disks: Vec<Disk>,
    pub(super) memory: Memory,
    pub(super) folders: Vec<Folder>,
    pub(super) values_trouble: Option<Trouble>,
    pub(super) project: ProjectFacts,
    /// Whether the project has a backend, by its compose file or by the network that its env files name.
    pub(super) is_backend_expected: bool,
    pub(super) network: Option<NetworkFacts>,
    pub(super) backend: BackendFacts,
    pub(super) registries: RegistriesFacts,
    pub(super) plugins: Vec<PluginFacts>,
    /// Words of which nothing can be used.
    pub(super) unusable: Vec<(String, Trouble)>,
    pub(super) leftovers: Leftovers,
    /// Host names of installed plugins that do not resolve.
    pub(super) unresolved_names: Vec<String>,
}

/// What the engine told.
struct Engine<'a> {
    docker: &'a Docker,
    info: EngineInfo,
    observed: Observed,
    of_other_homes: Vec<OthersContainer>,
    images: Vec<ListedImage>,
}

/// Gathers. Fails only where nothing could be said at all.
pub(super) async fn gather(
    cx: &Context,
    arguments: &DoctorArguments,
    mut specs: Vec<(String, PluginSpec)>,
    http: &Http,
) -> Result<Facts, Error> {
    let (project, project_facts) = project_facts(cx);
    let ((registries, loaded), engine, backend) =
        tokio::join!(ask_registries(cx, arguments, http), ask_engine(cx, &project.name), ask_backend());
    let (values, values_trouble) = match Values::read(&cx.settings.config_dir, &project.name) {
        Ok(values) => (values, None),
        Err(error) => (Values::default(), Some(Error::from(error).into())),
    };
    let variables = Variables { flags: &[], process: &cx.process_environment, project: &project, values: &values };
    let catalog = Catalog::of_loaded(loaded, access(cx, arguments, http));
    for set in arguments.sets.names() {
        let plugins = sets::plugins(&catalog, &set).await?;
        specs.extend(plugins.iter().map(PluginSpec::of));
    }
    let told = engine.as_ref().ok();
    let host = backend.as_ref().and_then(|(_, version)| version.clone()).unwrap_or(backend::COMPATIBILITY);
    let ground = Ground {
        cx,
        variables: &variables,
        catalog: &catalog,
        engine: told.map(|told| (told.docker, &told.observed)),
        host,
    };
    let (plugins, unusable) = ground.gather(specs).await;
    let is_backend_expected = variables.expect_backend();
    let on_engine = told.map(|told| OnEngine {
        observed: &told.observed,
        of_other_homes: told.of_other_homes.clone(),
        images: &told.images,
        networks: [project.network(), variables.backend_network("")],
    });
    Ok(Facts {
        disks: disks(cx, told.map(|told| &told.info)),
        memory: memory(told.map(|told| &told.info), &plugins),
        folders: folders(cx),
        values_trouble,
        is_backend_expected,
        network: told.map(|told| network_facts(&told.observed, &project, &variables)),
        unresolved_names: unresolved_names(cx, &project.name),
        leftovers: leftovers::gather(cx, on_engine),
        engine: engine_facts(cx, engine),
        project: project_facts,
        backend,
        registries,
        plugins,
        unusable,
    })
}

fn unresolved_names(cx: &Context, project: &str) -> Vec<String> {
    let receipts = cx.state.receipts(project).unwrap_or_default().into_iter().flatten();
    let names = receipts.flat_map(|receipt| receipt.ports).filter_map(|port| port.hostname);
    names.filter(|name| !crate::address::resolves(name)).collect()
}

/// The client of the doctor's questions.
pub(super) fn http(arguments: &DoctorArguments) -> Http {
    let deadlines = Deadlines { connect: ADDRESS_DEADLINE, document: ADDRESS_DEADLINE, ..Deadlines::default() };
    Http::with_deadlines(arguments.allow_http, deadlines)
}

async fn ask_engine<'a>(cx: &'a Context, project: &str) -> Result<Engine<'a>, Trouble> {
    let docker = cx.docker().await?;
    let home = cx.state.known_home_id();
    let asked = async {
        // A home without an id has made nothing yet, and the label is never empty.
        let id = home.as_deref().unwrap_or_default();
        let home_label = [(label::HOME, id)];
        let images = async {
            // Without an id the label's value would be empty, which an image of somebody else's may have.
            if id.is_empty() { Ok(Vec::new()) } else { docker.images_labelled(&home_label).await }
        };
        tokio::try_join!(docker.info(), docker.observe(id), docker.of_other_homes(project, home.as_deref()), images)
    };
    match tokio::time::timeout(ENGINE_DEADLINE, asked).await {
        Ok(Ok((info, observed, of_other_homes, images))) => {
            Ok(Engine { docker, info, observed, of_other_homes, images })
        }
        Ok(Err(error)) => Err(Error::from(error).into()),
        Err(_) => Err(Trouble {
            message: format!("it accepts connections but did not answer within {} s", ENGINE_DEADLINE.as_secs()),
            hint: Some("start it again: sudo systemctl restart docker".into()),
        }),
    }
}

fn engine_facts(cx: &Context, engine: Result<Engine<'_>, Trouble>) -> EngineFacts {
    EngineFacts {
        chosen_by: crate::docker::Endpoint::chosen_by(&cx.settings.docker),
        endpoint: cx.endpoint().ok().map(|endpoint| endpoint.to_string()),
        answer: engine.map(|engine| engine.info),
    }
}

async fn ask_backend() -> BackendFacts {
    let program = backend::find()?;
    let version = backend::version_of(&program).await;
    Some((program, version))
}

fn access<'a>(cx: &'a Context, arguments: &DoctorArguments, http: &'a Http) -> Access<'a> {
    let flags = RegistryFlags { offline: true, allow_http: arguments.allow_http, ..RegistryFlags::default() };
    registries::access(cx, &flags, http, now())
}

/// Each registry with its document, or why there is none.
type Documents = Vec<(Source, Result<Loaded, LoadFailure>)>;

/// Asks every address of every registry at the same time. A registry of which none answers may still be in the cache.
async fn ask_registries(cx: &Context, arguments: &DoctorArguments, http: &Http) -> (RegistriesFacts, Documents) {
    let mut facts = RegistriesFacts { is_offline: arguments.offline, ..RegistriesFacts::default() };
    let sources = registries::sources(&cx.settings).unwrap_or_else(|error| {
        facts.trouble = Some(error.into());
        Vec::new()
    });
    let asked = sources.iter().map(|source| source.reach(http, arguments.offline, now));
    let answers = futures_util::future::join_all(asked).await;
    let mut documents = Vec::with_capacity(sources.len());
    for (source, reaches) in sources.into_iter().zip(answers) {
        facts.addresses.extend(reaches.iter().map(|reach| AddressFacts::of(&source.name, reach)));
        let mut loaded = source.first_of(reaches.into_iter().map(|reach| reach.outcome).collect());
        if loaded.is_err()
            && let Ok(cached) = source.load(&access(cx, arguments, http)).await
        {
            if let Origin::Cache { age } | Origin::StaleCache { age } = cached.origin {
                facts.cached.push((source.name.clone(), age_text(age)));
            }
            loaded = Ok(cached);
        }
        documents.push((source, loaded));
    }
    (facts, documents)
}

/// The project, or what stands for it where it cannot be read: the other checks go on.
fn project_facts(cx: &Context) -> (Project, ProjectFacts) {
    let flags = &cx.settings.flags;
    let named = flags.project_dir.as_deref();
    let read = Project::read_in(
        &cx.process_environment,
        (&cx.settings.working_dir, named),
        flags.project.as_deref(),
        Strictness::Lenient,
    );
    let (project, trouble) = match read {
        Ok(project) => (project, None),
        Err(error) => {
            let folder = named.map_or_else(|| cx.settings.working_dir.clone(), |dir| cx.settings.working_dir.join(dir));
            let name = flags.project.clone().filter(|_| !matches!(error, ProjectError::Name { .. }));
            let name = name.unwrap_or_else(|| DEFAULT_PROJECT.to_owned());
            let stand_in = Project { folder, name, files: Vec::new(), warnings: Vec::new() };
            (stand_in, Some(Error::from(error).into()))
        }
    };
    let named_by = match (&flags.project, project::named(&cx.process_environment, &project.files)) {
        (Some(_), _) | (None, Some((_, NameSource::Flag))) => "as --project says".to_owned(),
        (None, Some((_, NameSource::Process(key)))) => format!("as {key} in the environment says"),
        (None, Some((_, NameSource::File { path, .. }))) => {
            format!("as `{}` says", path.file_name().unwrap_or_default().to_string_lossy())
        }
        (None, None) => "the default name".to_owned(),
    };
    let env_files = project.files.iter().map(|file| {
        let holds_secret = |(key, value): &(&String, &FileValue)| names_a_secret(key) && !value.text.is_empty();
        let mut secrets: Vec<String> = file.values.iter().filter(holds_secret).map(|(key, _)| key.clone()).collect();
        secrets.sort();
        let is_open_to_others = fs::is_readable_by_others(&file.path);
        EnvFileFacts { path: file.path.clone(), count: file.values.len(), is_open_to_others, secrets }
    });
    let facts = ProjectFacts {
        name: project.name.clone(),
        named_by,
        trouble,
        has_anything: project::looks_like_project(&project.folder),
        has_compose_file: project.folder.join(project::COMPOSE_FILE).is_file(),
        env_files: env_files.collect(),
        env_warnings: project.warnings.iter().filter(|warning| warning.starts_with("skipped")).cloned().collect(),
        env_troubles: project::env_file_problems(&project.folder)
            .into_iter()
            .map(|one| Error::from(one).into())
            .collect(),
        folder: project.folder.clone(),
    };
    (project, facts)
}

fn network_facts(observed: &Observed, project: &Project, variables: &Variables<'_>) -> NetworkFacts {
    let (own, backend) = (project.network(), variables.backend_network(""));
    NetworkFacts {
        has_own: observed.network(&own).is_some(),
        has_backend: observed.network(&backend).is_some(),
        own,
        backend,
    }
}

fn disks(cx: &Context, info: Option<&EngineInfo>) -> Vec<Disk> {
    let images = info.and_then(|info| info.root_dir.clone());
    let images = images.map(|path| (Store::Images, path));
    let places = images.into_iter().chain([(Store::Plugins, cx.settings.plugin_dir.clone())]);
    places.map(|(store, path)| Disk { store, space: Space::of(store, &path), path }).collect()
}

fn memory(info: Option<&EngineInfo>, plugins: &[PluginFacts]) -> Memory {
    let asked = plugins.iter().filter_map(|plugin| {
        let (name, prefix) = (plugin.name.as_str().to_owned(), plugin.name.variable_prefix());
        plugin.memory.map(|bytes| Asked { plugin: name, prefix, bytes, is_running: plugin.is_running() })
    });
    let here = Memory::of_this_machine();
    Memory { total: info.and_then(|info| info.memory).or(here.total), asked: asked.collect(), ..here }
}

fn folders(cx: &Context) -> Vec<Folder> {
    let settings = &cx.settings;
    let values = settings.config_dir.join("values");
    let places = [
        ("receipts", settings.nself_home.clone()),
        ("packages", settings.plugin_dir.clone()),
        ("cache", settings.cache_dir.clone()),
        ("secrets", values),
    ];
    let folder = |(what, path): (&'static str, PathBuf)| {
        let state = folder_state(&path);
        let is_open = state == FolderState::Writable { open_to_others: true };
        let files = if what == "secrets" && is_open { fs::list_folder(&path).unwrap_or_default() } else { Vec::new() };
        let files = files.into_iter().map(|name| path.join(name));
        Folder { what, exposed: files.filter(|file| fs::is_readable_by_others(file)).collect(), state, path }
    };
    places.into_iter().map(folder).collect()
}

fn folder_state(path: &Path) -> FolderState {
    let refused =
        |at: PathBuf, reason: &str, is_others| FolderState::Refused { at, reason: reason.to_owned(), is_others };
    let Some((place, facts)) = nearest(path) else {
        return refused(path.to_path_buf(), "cannot be looked at", false);
    };
    if !facts.is_dir() {
        return refused(place, "is no folder", false);
    }
    if let Err(error) = rustix::fs::access(&place, Permission::WRITE_OK | Permission::EXEC_OK) {
        let is_others = facts.uid() != rustix::process::geteuid().as_raw();
        let reason = match std::io::Error::from(error) {
            error if error.kind() == ErrorKind::ReadOnlyFilesystem => "is on a read-only file system".to_owned(),
            _ if is_others => format!("belongs to user {}", facts.uid()),
            error => format!("is closed to this user: {error}"),
        };
        return refused(place, &reason, is_others);
    }
    if place == path {
        FolderState::Writable { open_to_others: facts.mode() & 0o055 != 0 }
    } else {
        FolderState::ToBeMade
    }
}
