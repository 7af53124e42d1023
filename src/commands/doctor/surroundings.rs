//! The project and what is around it: its folder and env files, its network, the backend CLI.

use std::path::PathBuf;

use semver::Version;

use super::finding::{Finding, Trouble};
use crate::preflight;

/// The project as it was found.
#[derive(Debug, Default)]
pub(super) struct ProjectFacts {
    pub(super) folder: PathBuf,
    pub(super) name: String,
    /// What gave the name, in words.
    pub(super) named_by: String,
    /// Why there is no usable folder or name; the rest is then what a project without a folder has.
    pub(super) trouble: Option<Trouble>,
    pub(super) has_anything: bool,
    pub(super) has_compose_file: bool,
    pub(super) env_files: Vec<EnvFileFacts>,
    pub(super) env_troubles: Vec<Trouble>,
    /// Lines of env files that are skipped, a text for each file.
    pub(super) env_warnings: Vec<String>,
}

/// One env file that could be read.
#[derive(Debug)]
pub(super) struct EnvFileFacts {
    pub(super) path: PathBuf,
    pub(super) count: usize,
    pub(super) is_open_to_others: bool,
    /// The names of the variables that look like secrets.
    pub(super) secrets: Vec<String>,
}

/// Whether a variable's name says that its value is a secret.
pub(super) fn names_a_secret(key: &str) -> bool {
    ["SECRET", "PASSWORD", "TOKEN", "PRIVATE", "_KEY"].iter().any(|part| key.to_ascii_uppercase().contains(part))
}

pub(super) fn project(facts: &ProjectFacts) -> Finding {
    let subject = facts.folder.display().to_string();
    if let Some(trouble) = &facts.trouble {
        return Finding::of_trouble("project", subject, trouble);
    }
    let name = format!("project `{}` ({})", facts.name, facts.named_by);
    if facts.has_compose_file {
        return Finding::ok("project", subject, format!("{name}; the backend's docker-compose.yml is there"));
    }
    if facts.has_anything {
        return Finding::ok("project", subject, format!("{name}; no docker-compose.yml: the backend is not built yet"));
    }
    Finding::warning("project", subject, format!("{name}; no backend here: no env file and no docker-compose.yml"))
        .mend("if there is one, name its folder: nself plugin doctor --project-dir ./backend")
}

pub(super) fn env_files(facts: &ProjectFacts) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        facts.env_troubles.iter().map(|trouble| Finding::of_trouble("environment", "", trouble)).collect();
    let skipped = |text: &String| {
        Finding::warning("environment", "", text.clone()).mend("write each line as NAME=VALUE, or remove it")
    };
    findings.extend(facts.env_warnings.iter().map(skipped));
    for file in &facts.env_files {
        let subject = file.path.display().to_string();
        let variables = if file.count == 1 { "1 variable".to_owned() } else { format!("{} variables", file.count) };
        findings.push(if file.is_open_to_others && !file.secrets.is_empty() {
            let message = format!("{variables}; every user of this machine can read {} in it", file.secrets.join(", "));
            Finding::warning("environment", subject.clone(), message).mend(format!("close it: chmod 600 {subject}"))
        } else {
            Finding::ok("environment", subject, variables)
        });
    }
    if findings.is_empty() {
        findings.push(Finding::ok("environment", "", "there is no env file"));
    }
    findings
}

/// The networks, when the engine could be asked.
#[derive(Debug)]
pub(super) struct NetworkFacts {
    pub(super) own: String,
    pub(super) has_own: bool,
    pub(super) backend: String,
    pub(super) has_backend: bool,
}

pub(super) fn network(facts: &NetworkFacts, is_backend_expected: bool) -> Finding {
    let own = if facts.has_own { "is there" } else { "is made by the first installation" };
    let own = format!("`{}` {own}", facts.own);
    let subject = facts.backend.clone();
    if facts.has_backend {
        return Finding::ok("network", subject, format!("the backend's network is there; {own}"));
    }
    if !is_backend_expected {
        return Finding::ok("network", subject, format!("there is no backend's network to join; {own}"));
    }
    Finding::warning("network", subject, format!("the backend's network is not there: the backend does not run; {own}"))
        .mend("start the backend, then let the plugins join it: nself start && nself plugin restart")
}

/// Names of installed plugins' addresses that only browsers and curl resolve.
pub(super) fn names(unresolved: &[String]) -> Option<Finding> {
    let first = unresolved.first()?;
    let message = format!(
        "{} not resolve on this machine; 127.0.0.1 is printed instead",
        match unresolved.len() {
            1 => format!("{first} does"),
            count => format!("{first} and {} more do", count - 1),
        }
    );
    Some(
        Finding::ok("names", "*.localhost", message)
            .mend("to use the names in every program: sudo apt-get install libnss-myhostname"),
    )
}

/// The backend CLI, with its version where it tells one.
pub(super) type BackendFacts = Option<(PathBuf, Option<Version>)>;

pub(super) fn backend(facts: &BackendFacts) -> Finding {
    let Some((program, version)) = facts else {
        return Finding::warning("backend", "nself", "no backend CLI is on the PATH; plugins work without one")
            .mend("for `nself init`, `nself build` and the like install it: see https://nself.org");
    };
    let subject = program.display().to_string();
    let Some(version) = version else {
        return Finding::warning("backend", subject.clone(), "does not tell its version")
            .mend(format!("ask it: {subject} --version"));
    };
    match preflight::backend_too_old(program, version) {
        Some(problem) => Finding::of_problem("backend", subject, problem),
        None => Finding::ok("backend", subject, format!("is {version}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_folder_without_a_backend_is_a_warning_and_one_with_a_compose_file_is_fine() {
        let mut facts =
            ProjectFacts { name: "demo".into(), named_by: "the default name".into(), ..ProjectFacts::default() };
        assert_eq!(project(&facts).level, Level::Warning);
        facts.has_compose_file = true;
        assert_eq!(project(&facts).level, Level::Ok);
        facts.trouble = Some(Trouble { message: "there is no project folder".into(), hint: None });
        assert_eq!(project(&facts).level, Level::Failed);
    }

    #[test]
    fn an_env_file_with_secrets_that_others_can_read_is_a_warning_with_names_only() {
        let file = |is_open, secrets: &[&str]| EnvFileFacts {
            path: "/p/.env".into(),
            count: 2,
            is_open_to_others: is_open,
            secrets: secrets.iter().map(|name| (*name).to_owned()).collect(),
        };
        let level = |file| env_files(&ProjectFacts { env_files: vec![file], ..ProjectFacts::default() })[0].level;
        assert_eq!(level(file(true, &[])), Level::Ok);
        assert_eq!(level(file(false, &["DB_PASSWORD"])), Level::Ok);
        assert_eq!(level(file(true, &["DB_PASSWORD"])), Level::Warning);
    }

    #[test]
    fn a_missing_backend_network_is_a_warning_only_where_a_backend_is_expected() {
        let mut facts = NetworkFacts {
            own: "demo_plugins".into(),
            has_own: false,
            backend: "demo_network".into(),
            has_backend: false,
        };
        assert_eq!(network(&facts, false).level, Level::Ok);
        assert_eq!(network(&facts, true).level, Level::Warning);
        facts.has_backend = true;
        assert_eq!(network(&facts, true).level, Level::Ok);
    }

    #[test]
    fn no_backend_cli_warns_and_an_old_one_fails() {
        let of = |version: Option<&str>| {
            backend(&Some(("/bin/nself".into(), version.map(|version| version.parse().unwrap())))).level
        };
        assert_eq!(backend(&None).level, Level::Warning);
        assert_eq!(of(None), Level::Warning);
        assert_eq!(of(Some("0.9.7")), Level::Failed);
        assert_eq!(of(Some("0.9.8")), Level::Ok);
        assert_eq!(of(Some("1.2.0")), Level::Ok);
    }
}
