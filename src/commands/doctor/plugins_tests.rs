//! What the doctor says of plugins, from facts alone.

use std::collections::HashMap;

use super::super::finding::Level;
use super::*;
use crate::environment::Variables;
use crate::project::{Project, Strictness};
use crate::values::Values;

fn facts(name: &str, standing: Standing) -> PluginFacts {
    PluginFacts {
        name: name.parse().unwrap(),
        standing,
        ports: Vec::new(),
        variables: Some(VariableFacts {
            required: 0,
            generated: 0,
            missing: Vec::new(),
            known_to_container: Vec::new(),
        }),
        services: Vec::new(),
        privileges: Some(PrivilegeFacts { granted: Vec::new(), problem: None }),
        problems: Vec::new(),
        memory: Some(256 << 20),
        missing_key: None,
    }
}

fn offered(name: &str) -> PluginFacts {
    facts(name, Standing::Offered { version: "1.0.0".into(), from: "bundled".into(), needed_by: Vec::new() })
}

fn installed(name: &str, state: &str) -> PluginFacts {
    let container = ContainerFacts::State(state.into());
    facts(name, Standing::Installed { version: "1.0.0".into(), registry: "bundled".into(), container })
}

fn mover() -> PortMover {
    let folder = tempfile::tempdir().unwrap();
    let project = Project::read(folder.path(), None, Some("demo"), Strictness::Strict).unwrap();
    let values = Values::read(folder.path(), "demo").unwrap();
    let variables = Variables { flags: &[], process: &HashMap::new(), project: &project, values: &values };
    PortMover::of(&variables, &"demo".parse().unwrap(), "demo", Some("DEMO_PORT")).unwrap()
}

fn port(number: u16, state: PortState) -> PortFacts {
    PortFacts { port: number, mover: Some(mover()), is_optional: false, state }
}

fn of_check(plugins: &[PluginFacts], check: &str) -> Vec<Finding> {
    judge(plugins, &[]).into_iter().filter(|finding| finding.check == check).collect()
}

fn variable(name: &str) -> Variable {
    Variable {
        name: name.into(),
        required: true,
        default: None,
        description: "a key".into(),
        secret: true,
        aliases: Vec::new(),
        generated: None,
    }
}

#[test]
fn without_plugins_there_is_one_line_that_says_so() {
    assert_eq!(judge(&[], &[]).len(), 1);
}

#[test]
fn a_plugin_that_nobody_has_is_one_failed_line() {
    let trouble = Trouble { message: "no registry has it".into(), hint: None };
    let findings = judge(&[], &[("demo".into(), trouble)]);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].level, Level::Failed);
}

#[test]
fn a_taken_port_names_its_holder_and_the_variable() {
    let mut demo = offered("demo");
    demo.ports = vec![port(1, PortState::Held(PortHolder::Container("other".into())))];
    let finding = &of_check(&[demo], "ports")[0];
    assert_eq!(finding.level, Level::Failed);
    assert!(finding.message.contains("held by the container `other`"));
    assert!(finding.hint.as_ref().unwrap().contains("config demo set DEMO_PORT "));
}

#[test]
fn an_optional_port_that_is_taken_is_a_warning() {
    let mut demo = offered("demo");
    demo.ports = vec![PortFacts { is_optional: true, ..port(1, PortState::Held(PortHolder::Unknown)) }];
    assert_eq!(of_check(&[demo], "ports")[0].level, Level::Warning);
}

#[test]
fn two_plugins_that_want_one_port_are_told_and_one_that_has_it_is_not() {
    let (mut one, mut other) = (offered("one"), offered("other"));
    one.ports = vec![port(3101, PortState::Free)];
    other.ports = vec![port(3101, PortState::Free)];
    let findings = of_check(&[one, other], "ports");
    let failed: Vec<&Finding> = findings.iter().filter(|finding| finding.level == Level::Failed).collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].message.contains("`one` and `other`"));
    let mut running = installed("one", "running");
    running.ports = vec![port(3101, PortState::Own)];
    assert!(of_check(&[running], "ports").iter().all(|finding| finding.level == Level::Ok));
}

#[test]
fn every_missing_variable_is_a_line_and_what_the_container_knows_is_a_warning() {
    let mut demo = installed("demo", "running");
    demo.variables = Some(VariableFacts {
        required: 2,
        generated: 0,
        missing: vec![variable("FIRST"), variable("SECOND")],
        known_to_container: vec!["SECOND".into()],
    });
    let findings = of_check(&[demo], "variables");
    assert_eq!(findings.iter().map(|finding| finding.level).collect::<Vec<_>>(), [Level::Failed, Level::Warning]);
    assert!(findings[0].hint.as_ref().unwrap().contains(".env.plugins"));
}

#[test]
fn an_unknown_manifest_is_told_with_the_dry_run() {
    let mut demo = offered("demo");
    demo.variables = None;
    assert!(of_check(&[demo], "variables")[0].hint.as_ref().unwrap().ends_with("--check"));
}

#[test]
fn a_service_that_nobody_gives_fails_with_the_variable() {
    let mut demo = offered("demo");
    let service = |provider| ServiceFacts { name: "postgres".into(), variable: Some("DATABASE_URL".into()), provider };
    demo.services = vec![service(Provider::Nobody("no registry has it".into())), service(Provider::Given)];
    let findings = of_check(&[demo], "services");
    assert_eq!((findings[0].level, findings[1].level), (Level::Failed, Level::Ok));
    assert!(findings[0].hint.as_ref().unwrap().contains("DATABASE_URL"));
}

#[test]
fn power_over_the_host_is_a_warning_and_harmless_capabilities_are_not() {
    let mut demo = installed("demo", "running");
    demo.privileges = Some(PrivilegeFacts { granted: vec!["capability CHOWN".into()], problem: None });
    assert_eq!(of_check(&[demo], "privileges")[0].level, Level::Ok);
    let mut demo = installed("demo", "running");
    let problem = Problem { code: "privileges", message: String::new(), hint: None };
    demo.privileges = Some(PrivilegeFacts { granted: vec!["privileged mode".into()], problem: Some(problem) });
    assert_eq!(of_check(&[demo], "privileges")[0].level, Level::Warning);
}

#[test]
fn a_container_that_is_gone_is_a_warning() {
    let mut demo = installed("demo", "exited");
    assert_eq!(judge(&[installed("demo", "exited")], &[])[0].level, Level::Ok);
    demo.standing =
        Standing::Installed { version: "1.0.0".into(), registry: "x".into(), container: ContainerFacts::Missing };
    assert_eq!(judge(&[demo], &[])[0].level, Level::Warning);
}
