//! The engine: whether it answers, what it can do, and whether its images fit this machine.

use super::finding::{Finding, Trouble};
use crate::docker::EngineInfo;
use crate::preflight::own_platform;

/// What was found of the engine.
#[derive(Debug)]
pub(super) struct EngineFacts {
    /// What decided on the endpoint.
    pub(super) chosen_by: String,
    /// Where it is, when that is known.
    pub(super) endpoint: Option<String>,
    pub(super) answer: Result<EngineInfo, Trouble>,
}

pub(super) fn judge(facts: &EngineFacts) -> Vec<Finding> {
    let subject = facts.endpoint.clone().unwrap_or_default();
    match &facts.answer {
        Err(trouble) => {
            let mut finding = Finding::of_trouble("engine", subject, trouble);
            finding.message = format!("{} (chosen by {})", finding.message, facts.chosen_by);
            vec![finding, Finding::ok("architecture", "", format!("this machine is {}", own_platform()))]
        }
        Ok(info) => {
            let root = if info.rootless { "rootless" } else { "not rootless" };
            let message = format!(
                "Docker {}, API {} (spoken: {}), {root}, chosen by {}",
                info.version, info.api, info.spoken, facts.chosen_by
            );
            vec![Finding::ok("engine", subject, message), limits(info), architecture(info, own_platform())]
        }
    }
}

fn limits(info: &EngineInfo) -> Finding {
    if info.missing_limits.is_empty() {
        return Finding::ok("limits", "", "the engine can limit memory, processes and CPU time");
    }
    let message = format!(
        "the engine cannot limit {}: a plugin that goes wrong can take all of the machine",
        info.missing_limits.join(", ")
    );
    Finding::warning("limits", "", message).mend("see what it lacks: docker info --format '{{json .Warnings}}'")
}

fn architecture(info: &EngineInfo, own: &str) -> Finding {
    let engine = match info.architecture.as_str() {
        "x86_64" | "amd64" => "linux/amd64",
        "aarch64" | "arm64" => "linux/arm64",
        other => other,
    };
    if !matches!(info.os_type.as_str(), "linux" | "") {
        let message = format!("the engine runs {} containers, and plugins are Linux containers", info.os_type);
        return Finding::failed("architecture", "", message)
            .mend("choose an engine that runs Linux containers: docker context use default");
    }
    if engine == own || engine.is_empty() {
        return Finding::ok("architecture", "", format!("this machine and its engine are {own}"));
    }
    let message = format!(
        "this program is {own} and the engine runs on {engine}: images for {own} run slowly there or not at all"
    );
    Finding::warning("architecture", "", message).mend(format!("install the program for {engine}: ./install.sh"))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn info() -> EngineInfo {
        EngineInfo {
            version: "20.10.24".into(),
            api: "1.41".into(),
            spoken: "1.41".into(),
            os_type: "linux".into(),
            architecture: "x86_64".into(),
            ..EngineInfo::default()
        }
    }

    fn of(answer: Result<EngineInfo, Trouble>) -> Vec<Finding> {
        judge(&EngineFacts { chosen_by: "DOCKER_HOST".into(), endpoint: Some("unix:///x.sock".into()), answer })
    }

    #[test]
    fn an_engine_that_answers_is_told_with_version_api_and_who_chose_it() {
        let findings = of(Ok(info()));
        assert_eq!(findings[0].level, Level::Ok);
        assert_eq!(
            findings[0].message,
            "Docker 20.10.24, API 1.41 (spoken: 1.41), not rootless, chosen by DOCKER_HOST"
        );
        assert!(of(Ok(EngineInfo { rootless: true, ..info() }))[0].message.contains(", rootless,"));
    }

    #[test]
    fn an_engine_that_is_away_fails_with_the_hint() {
        let trouble = Trouble { message: "no Docker engine answers".into(), hint: Some("start it".into()) };
        let findings = of(Err(trouble));
        assert_eq!((findings[0].level, findings[0].hint.as_deref()), (Level::Failed, Some("start it")));
        assert_eq!(findings[0].subject, "unix:///x.sock");
    }

    #[test]
    fn limits_that_cannot_be_enforced_are_a_warning() {
        assert_eq!(limits(&info()).level, Level::Ok);
        let finding = limits(&EngineInfo { missing_limits: vec!["memory"], ..info() });
        assert_eq!(finding.level, Level::Warning);
        assert!(finding.message.contains("cannot limit memory"));
    }

    #[test]
    fn an_engine_of_another_kind_of_machine_is_told() {
        assert_eq!(architecture(&info(), "linux/amd64").level, Level::Ok);
        assert_eq!(architecture(&info(), "linux/arm64").level, Level::Warning);
        let windows = EngineInfo { os_type: "windows".into(), ..info() };
        assert_eq!(architecture(&windows, "linux/amd64").level, Level::Failed);
    }
}
