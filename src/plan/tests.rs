//! Plans as text: values in, golden text out.

use std::path::PathBuf;

use super::*;
use crate::docker::ObservedNetwork;
use crate::name::Digest;
use crate::project::{Project, Strictness};
use crate::state::{RECEIPT_SCHEMA, ReceiptImage};

fn manifest() -> Manifest {
    let text = r#"{
        "manifest_version": 2, "name": "chat", "version": "1.1.0", "license": "free",
        "service": { "kind": "container", "healthcheck": "/ready", "volumes": [{ "name": "data", "path": "/data" }] },
        "ports": [{ "name": "http", "port": 3900, "variable": "CHAT_PORT" }]
    }"#;
    Manifest::read(text.as_bytes()).expect("a valid manifest")
}

fn project() -> (tempfile::TempDir, Project) {
    let folder = tempfile::tempdir().unwrap();
    let project = Project::read(folder.path(), None, Some("demo"), Strictness::Strict).unwrap();
    (folder, project)
}

fn wanted<'a>(manifest: &'a Manifest, project: &'a Project) -> Wanted<'a> {
    Wanted {
        manifest,
        project,
        home: "0123456789abcdef",
        transaction: "chat.aaaaaaaaaaaaaaaa",
        digest: Some(Digest::from_bytes([7; 32])),
        environment: vec!["A=1".to_owned()],
        ports: vec![(manifest.ports[0].clone(), 3901)],
        memory: None,
        backend_network: None,
    }
}

fn container(name: &str, state: &str) -> ObservedContainer {
    ObservedContainer {
        id: "id".into(),
        name: name.into(),
        image: "sha256:old".into(),
        state: state.into(),
        fails_its_check: false,
        plugin: "chat".into(),
        project: "demo".into(),
        service: "chat".into(),
        version: "1.0.0".into(),
        digest: String::new(),
        config_hash: "other".into(),
        transaction: "chat.bbbbbbbbbbbbbbbb".into(),
        ports: Vec::new(),
        networks: vec!["demo_plugins".into()],
    }
}

fn receipt() -> Receipt {
    Receipt {
        schema: RECEIPT_SCHEMA.into(),
        plugin: "chat".parse().unwrap(),
        version: "1.0.0".parse().unwrap(),
        project: "demo".into(),
        description: String::new(),
        registry: "bundled".into(),
        source: String::new(),
        digest: None,
        proof: crate::package::Proof::Digest,
        image: ReceiptImage { reference: "nself/chat:1.0.0-00000000".into(), id: "sha256:old".into(), owned: true },
        containers: Vec::new(),
        ports: Vec::new(),
        networks: vec!["demo_plugins".into()],
        volumes: vec!["demo_plugin_chat_data".into()],
        variables: Vec::new(),
        given_once: None,
        dependencies: Vec::new(),
        granted: Vec::new(),
        health_path: "/ready".into(),
        transaction: "chat.bbbbbbbbbbbbbbbb".into(),
        installed_at: 0,
        healthy_after_milliseconds: 0,
        others: BTreeMap::new(),
    }
}

fn activation(keep_earlier_at: Option<&str>) -> Activation {
    Activation {
        staged: "/home/.nself/plugins/.staging/chat.aaaaaaaaaaaaaaaa/chat".into(),
        active: "/home/.nself/plugins/chat".into(),
        keep_earlier_at: keep_earlier_at.map(PathBuf::from),
    }
}

fn build() -> ImageNeed {
    ImageNeed::Build { tag: "nself/chat:1.1.0-07070707".into() }
}

#[test]
fn a_first_installation_makes_what_is_missing_and_commits_last() {
    let (manifest, (_folder, project)) = (manifest(), project());
    let situation = Situation {
        had_network: false,
        observed: &Observed::default(),
        receipt: None,
        image: build(),
        generated: vec!["CHAT_SECRET".into()],
        activate: Some(activation(None)),
        other_projects: Vec::new(),
        is_unhealthy: false,
    };
    let (plan, undo) = install(&wanted(&manifest, &project), &situation);
    let expected = "\
chat 1.1.0 in project demo:
   1. store values CHAT_SECRET (not set; generated and kept)
   2. build image nself/chat:1.1.0-07070707 (the engine has no image of this archive)
   3. create network demo_plugins (the project's plugins talk to one another on it)
   4. create volume demo_plugin_chat_data (data of `/data` is kept in it)
   5. create container demo_plugin_chat (version 1.1.0 of `chat`)
   6. start container demo_plugin_chat (it must become healthy before anything is kept)
   7. wait until healthy demo_plugin_chat at http://127.0.0.1:3901/ready (only a healthy plugin is kept)
   8. activate package /home/.nself/plugins/chat (other nself tools look there)
   9. write receipt commit (the commit point: from here on it is installed)
  10. keep running demo_plugin_chat (from here on the engine restarts it, after its own restarts too)";
    assert_eq!(plan.to_string(), expected);
    assert_eq!(undo.len(), 6, "{undo:?}");
    assert!(matches!(undo.first(), Some(Undo::DiscardValues { .. })));
    assert_eq!(plan.finish(), [Finish::KeepRunning { name: "demo_plugin_chat".into() }]);
}

#[test]
fn a_replacement_keeps_the_earlier_container_until_the_commit() {
    let (manifest, (_folder, project)) = (manifest(), project());
    let network = ObservedNetwork {
        id: "n".into(),
        name: "demo_plugins".into(),
        transaction: None,
        home: Some("0123456789abcdef".into()),
    };
    let observed = Observed { containers: vec![container("demo_plugin_chat", "running")], networks: vec![network] };
    let earlier = receipt();
    let situation = Situation {
        had_network: true,
        observed: &observed,
        receipt: Some(&earlier),
        image: build(),
        generated: Vec::new(),
        activate: Some(activation(Some("/home/.nself/versions/chat/1.0.0"))),
        other_projects: vec!["elsewhere".into()],
        is_unhealthy: false,
    };
    let (plan, undo) = install(&wanted(&manifest, &project), &situation);
    let expected = "\
chat 1.1.0 in project demo:
   1. build image nself/chat:1.1.0-07070707 (the engine has no image of this archive)
   2. create volume demo_plugin_chat_data (data of `/data` is kept in it)
   3. create container demo_plugin_chat.next.aaaaaaaaaaaaaaaa (version 1.1.0 of `chat`)
   4. stop container demo_plugin_chat (the earlier container (1.0.0) holds the ports)
   5. start container demo_plugin_chat.next.aaaaaaaaaaaaaaaa (it must become healthy before anything is kept)
   6. wait until healthy demo_plugin_chat.next.aaaaaaaaaaaaaaaa at http://127.0.0.1:3901/ready (only a healthy plugin is kept)
   7. rename container demo_plugin_chat to demo_plugin_chat.prev.aaaaaaaaaaaaaaaa (kept until the commit point)
   8. rename container demo_plugin_chat.next.aaaaaaaaaaaaaaaa to demo_plugin_chat (it takes the name over)
   9. activate package /home/.nself/plugins/chat (other nself tools look there)
  10. write receipt commit (the commit point: from here on it is installed)
  11. keep running demo_plugin_chat (from here on the engine restarts it, after its own restarts too)
  12. remove container demo_plugin_chat.prev.aaaaaaaaaaaaaaaa (the earlier container is not needed any more)
  13. keep earlier package /home/.nself/versions/chat/1.0.0 (a way back)
  14. remove image sha256:old (the earlier version's image, unless something uses it)
  note: `chat` is installed in elsewhere too: its containers stay as they are, its package folder is shared";
    assert_eq!(plan.to_string(), expected);
    let restore = undo.iter().position(|undo| matches!(undo, Undo::RestoreContainer { was_running: true, .. }));
    let remove = undo.iter().position(|undo| matches!(undo, Undo::RemoveNewContainers));
    assert!(restore < remove, "undone in reverse, the new container goes before the earlier one comes back: {undo:?}");
}

#[test]
fn a_removal_keeps_data_and_forgets_the_receipt_last() {
    let (_folder, project) = project();
    let observed = Observed { containers: vec![container("demo_plugin_chat", "running")], networks: Vec::new() };
    let receipt = receipt();
    let removal = Removal {
        receipt: &receipt,
        observed: &observed,
        project: &project,
        active: "/home/.nself/plugins/chat".into(),
        delete_data: false,
        keep_image: false,
        keep_package_at: None,
        is_shared: false,
    };
    let expected = "\
chat 1.0.0 in project demo:
   1. remove container demo_plugin_chat (it runs the plugin)
   2. remove package /home/.nself/plugins/chat (no project has it any more)
   3. remove image sha256:old (this program brought it; it stays if something uses it)
   4. remove network demo_plugins (if no plugin is left on it)
   5. remove receipt commit (from here on it is not installed)";
    assert_eq!(remove(&removal).to_string(), expected);
}

#[test]
fn a_container_that_only_inherits_labels_is_not_the_plugins() {
    let of_a_user =
        ObservedContainer { id: "user".into(), config_hash: String::new(), ..container("demo_plugin_chat", "running") };
    let renamed = ObservedContainer { id: "listed".into(), ..container("by-hand", "running") };
    let other = ObservedContainer { id: "other".into(), ..container("demo_plugin_chat-two", "running") };
    let late = ObservedContainer { id: "late".into(), ..container("demo_plugin_chat.next.00", "created") };
    let observed = Observed { containers: vec![of_a_user, renamed, other, late], networks: Vec::new() };
    let mut receipt = receipt();
    let listed = crate::state::ReceiptContainer {
        service: "chat".into(),
        name: "demo_plugin_chat".into(),
        id: "listed".into(),
        config_hash: String::new(),
    };
    receipt.containers.push(listed);
    let own = own_containers(&observed, Some(&receipt), "demo", "chat", "demo_plugin_chat");
    assert_eq!(own.iter().map(|found| found.id.as_str()).collect::<Vec<_>>(), ["listed", "late"]);
}

#[test]
fn the_configuration_hash_follows_what_the_container_is_and_nothing_else() {
    let (manifest, (_folder, project)) = (manifest(), project());
    let hash = |change: &dyn Fn(&mut Wanted<'_>)| {
        let mut wanted = wanted(&manifest, &project);
        change(&mut wanted);
        wanted.config_hash()
    };
    let base = hash(&|_| {});
    assert_eq!(base.len(), 16);
    assert_eq!(base, hash(&|wanted| wanted.transaction = "chat.cccccccccccccccc"));
    assert_ne!(base, hash(&|wanted| wanted.environment.push("B=2".to_owned())));
    assert_ne!(base, hash(&|wanted| wanted.ports[0].1 = 3902));
    assert_ne!(base, hash(&|wanted| wanted.memory = Some(1 << 26)));
    assert_ne!(base, hash(&|wanted| wanted.digest = None));
}

#[test]
fn limits_and_names_are_as_documented() {
    let (manifest, (_folder, project)) = (manifest(), project());
    let spec = wanted(&manifest, &project).container();
    assert_eq!(spec.name, "demo_plugin_chat");
    assert_eq!(spec.aliases, ["chat", "plugin-chat", "demo_plugin_chat"]);
    assert_eq!(spec.memory, Some(DEFAULT_MEMORY));
    assert_eq!(spec.ports, [PublishedPort { host: 3901, container: 3900 }]);
    assert!(spec.read_only && !spec.privileged && spec.capabilities.is_empty());
}
