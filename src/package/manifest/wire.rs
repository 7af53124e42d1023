//! From JSON to the model: which field of which generation means what, and the defaults of each. The top of the
//! manifest and what it requires; the container's own part is in `service.rs`, its variables in `variables.rs`.

use serde_json::Value;

use super::fields::{Fields, wrong};
use super::{Manifest, ManifestError, Requires, Variable, actions, service, values, variables};
use crate::name::{PluginName, parse_version, shown};
use crate::needs::{Condition, ServiceNeed, is_service, service_of_variable};
use crate::version_range::VersionRange;

/// The newest generation that is understood.
const NEWEST_GENERATION: u64 = 2;
/// The most dependencies of one plugin.
const MOST_DEPENDENCIES: usize = 256;

pub(super) fn manifest(document: &Value) -> Result<Manifest, ManifestError> {
    let top = Fields::of(document, "")?;
    let generation = top.whole("manifest_version", 1, u64::MAX)?.unwrap_or(1);
    if generation > NEWEST_GENERATION {
        return Err(top.wrong("manifest_version", format!("is {generation}; this version understands 1 and 2")));
    }
    let name = top.text("name")?.ok_or_else(|| top.wrong("name", "is missing"))?;
    let name: PluginName = name.parse().map_err(|error| top.wrong("name", format!("is wrong: {error}")))?;
    let version = top.text("version")?.ok_or_else(|| top.wrong("version", "is missing"))?;
    let version = parse_version(version).map_err(|error| top.wrong("version", format!("is wrong: {error}")))?;
    let variables = variables::variables(&top)?;
    let ports = service::ports(&top, &name, &variables)?;
    let text = |key: &str| top.text(key).map(|text| text.unwrap_or_default().to_owned());
    let mut requires = requires(&top, generation, &name)?;
    imply_services(&mut requires, &name, &variables);
    for need in &mut requires.services {
        let declared = variables.iter().find(|variable| need.variable.as_ref() == Some(&variable.name));
        if let Some(variable) = declared {
            need.aliases.clone_from(&variable.aliases);
        }
    }
    Ok(Manifest {
        description: text("description")?,
        category: text("category")?,
        license: text("license")?,
        author: author(&top)?,
        maturity: text("maturity")?,
        homepage: top.first_text(&["docs_url", "homepage"])?.map(ToOwned::to_owned),
        tags: top.texts("tags")?,
        generation: if generation == 1 { 1 } else { 2 },
        requires,
        service: service::service(&top, generation)?,
        privileges: service::privileges(&top)?,
        hooks: hooks(&top)?,
        actions: actions::actions(&top)?,
        not_installable: not_installable(&top)?,
        program: top.text("binaryName")?.filter(|program| !program.is_empty()).map(ToOwned::to_owned),
        name,
        version,
        ports,
        variables,
    })
}

/// `installable: false`, or the status `planned`, with the package's own reason.
fn not_installable(top: &Fields<'_>) -> Result<Option<String>, ManifestError> {
    let is_planned = matches!(top.get("status"), Some(Value::String(status)) if status == "planned");
    // What is not a truth value says nothing.
    let is_off = matches!(top.get("installable"), Some(Value::Bool(false)));
    if !is_planned && !is_off {
        return Ok(None);
    }
    let note =
        top.first_text(&["plannedNote", "planned_note"])?.unwrap_or("its package says that it is not installable");
    Ok(Some(shown(note)))
}

/// A text, or an object with a name as in package.json.
fn author(top: &Fields<'_>) -> Result<String, ManifestError> {
    match top.get("author") {
        Some(Value::Object(_)) => Ok(top.object("author", "author")?.text("name")?.unwrap_or_default().to_owned()),
        _ => Ok(top.text("author")?.unwrap_or_default().to_owned()),
    }
}

fn requires(top: &Fields<'_>, generation: u64, name: &PluginName) -> Result<Requires, ManifestError> {
    let stated = top.object("requires", "requires")?;
    let host = match stated.text("nself")? {
        Some(range) => Some(range.to_owned()),
        None => lowest_host(top)?,
    };
    if let Some(range) = &host {
        range
            .parse::<VersionRange>()
            .map_err(|_| stated.wrong("nself", format!("is `{}`, which is no range of versions", shown(range))))?;
    }
    let mut dependencies = stated.texts("plugins")?;
    if generation == 1 {
        // A package of the language's own registry may have the plugin's name; a plugin cannot need itself.
        dependencies.extend(old_dependencies(top)?.into_iter().filter(|written| *written != name.as_str()));
    }
    if dependencies.len() > MOST_DEPENDENCIES {
        return Err(stated.wrong("plugins", "lists more than 256 dependencies"));
    }
    for dependency in &dependencies {
        values::word(dependency).map_err(|problem| stated.wrong("plugins", problem))?;
    }
    let services = stated.list("services")?.iter().map(service_need).collect::<Result<_, _>>()?;
    Ok(Requires { host, dependencies, services })
}

/// Manifests name services among their dependencies too, or show that they need one by a required variable alone.
fn imply_services(requires: &mut Requires, plugin: &PluginName, variables: &[Variable]) {
    let Requires { dependencies, services, .. } = requires;
    let is_other = |word: &str| is_service(word) && word != plugin.as_str();
    for word in dependencies.extract_if(.., |word| is_other(word)) {
        if services.iter().all(|need| need.name != word) {
            services.push(ServiceNeed::guessed(word));
        }
    }
    let is_open = |variable: &&Variable| variable.default.is_none() && variable.generated.is_none();
    for variable in variables.iter().filter(is_open) {
        let Some(service) = service_of_variable(plugin, &variable.name).filter(|service| is_other(service)) else {
            continue;
        };
        match services.iter_mut().find(|need| need.name == service) {
            Some(need) if need.variable.is_none() => {
                need.variable = Some(variable.name.clone());
                need.is_guess &= !variable.required;
            }
            None if variable.required => services
                .push(ServiceNeed { variable: Some(variable.name.clone()), ..ServiceNeed::named(service.to_owned()) }),
            _ => {}
        }
    }
    *services = std::mem::take(services).into_iter().map(ServiceNeed::with_usual_variables).collect();
}

/// The lowest and highest host versions of the first generation, as a range.
fn lowest_host(top: &Fields<'_>) -> Result<Option<String>, ManifestError> {
    let lowest = top.first_text(&["minNselfVersion", "min_nself_version"])?;
    let highest = top.first_text(&["maxNselfVersion", "max_nself_version"])?;
    let bounds = lowest.map(|version| (">=", version)).into_iter().chain(highest.map(|version| ("<=", version)));
    let mut range = Vec::new();
    for (sign, written) in bounds.filter(|(_, written)| !written.is_empty()) {
        let version = parse_version(written).map_err(|error| wrong("minNselfVersion", format!("is wrong: {error}")))?;
        range.push(format!("{sign}{version}"));
    }
    Ok((!range.is_empty()).then(|| range.join(", ")))
}

/// Dependencies of the first generation: a list of names, an object with `required` or `plugins`, or names with
/// ranges. What is optional, or of another package system by its own word, is left out.
fn old_dependencies(top: &Fields<'_>) -> Result<Vec<String>, ManifestError> {
    match top.get("dependencies") {
        Some(Value::Array(_)) => top.texts("dependencies"),
        Some(Value::Object(_)) => {
            let fields = top.object("dependencies", "dependencies")?;
            let known = ["required", "optional", "plugins", "npm", "pip", "system"];
            if fields.all().any(|(key, _)| known.contains(&key.as_str())) {
                let mut names = fields.texts("required")?;
                names.extend(fields.texts("plugins")?);
                return Ok(names);
            }
            Ok(fields.all().map(|(name, _)| name.clone()).collect())
        }
        Some(_) => Err(top.wrong("dependencies", "must be a list or an object")),
        None => Ok(Vec::new()),
    }
}

fn service_need(value: &Value) -> Result<ServiceNeed, ManifestError> {
    const PLACE: &str = "requires.services";
    if let Value::String(name) = value {
        let name = values::volume_name(name).map_err(|problem| wrong(PLACE, problem))?;
        return Ok(ServiceNeed::named(name));
    }
    let fields = Fields::of(value, PLACE)?;
    let name = fields.text("name")?.ok_or_else(|| fields.wrong("name", "is missing"))?;
    let name = values::volume_name(name).map_err(|problem| fields.wrong("name", problem))?;
    let variable = fields.text("variable")?.map(values::variable_name).transpose();
    let words = || Condition::ALL.map(Condition::word).join(" or ");
    let condition = match fields.text("condition")? {
        Some(word) => {
            Condition::parse(word).ok_or_else(|| fields.wrong("condition", format!("must be {}", words())))?
        }
        None => Condition::default(),
    };
    Ok(ServiceNeed {
        optional: fields.flag("optional")?.unwrap_or(false),
        condition,
        variable: variable.map_err(|problem| fields.wrong("variable", problem))?,
        ..ServiceNeed::named(name)
    })
}

/// What the package would like to run on the host: the name of each hook, with its script where it names one.
fn hooks(top: &Fields<'_>) -> Result<Vec<String>, ManifestError> {
    let fields = top.object("hooks", "hooks")?;
    let set = fields.all().filter(|(_, value)| !matches!(value, Value::Null | Value::Bool(false)));
    Ok(set
        .map(|(name, value)| match value {
            Value::String(script) => format!("{}: {}", shown(name), shown(script)),
            _ => shown(name),
        })
        .collect())
}
