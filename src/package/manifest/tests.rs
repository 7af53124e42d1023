//! Every generation, every default, every refusal.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::needs::Condition;

fn read(value: &Value) -> Result<Manifest, ManifestError> {
    Manifest::read(value.to_string().as_bytes())
}

/// The shortest manifest of the second generation with some fields more.
macro_rules! second {
    ($($fields:tt)+) => { second_of(&json!($($fields)+)) };
}

/// The shortest manifest with one field more.
fn with(key: &str, value: Value) -> Result<Manifest, ManifestError> {
    let mut document = json!({"name": "realtime", "version": "1.0.0"});
    document[key] = value;
    read(&document)
}

fn second_of(fields: &Value) -> Result<Manifest, ManifestError> {
    let mut document = json!({"manifest_version": 2, "name": "realtime", "version": "1.0.0"});
    document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    read(&document)
}

fn full() -> Value {
    json!({
        "manifest_version": 2, "name": "realtime", "version": "v1.2.3", "description": "rooms", "license": "free",
        "category": "communication", "maturity": "implemented", "author": "nself", "docs_url": "https://example.org",
        "tags": ["chat"],
        "requires": { "nself": ">=0.9.8", "plugins": ["jobs"],
            "services": [
                {"name": "redis", "optional": true, "condition": "service_started", "variable": "REALTIME_REDIS_URL"},
                "postgres"
            ] },
        "service": { "kind": "container", "image": "example.org/realtime@sha256:00", "dockerfile": "build/Dockerfile",
            "port": 3101, "healthcheck": "/health", "memory": "512m", "cpus": 0.5, "pids": 64, "read_only": true,
            "tmpfs": ["/run"], "volumes": [{"name": "data", "path": "/data"}], "user": "65532:65532",
            "command": ["serve", "--fast"], "stop_grace_seconds": 5 },
        "ports": [{"name": "dashboard", "port": 4200}, {"name": "http", "port": 3101, "variable": "REALTIME_PORT",
            "hostname": "realtime.localhost", "description": "clients"}],
        "env": { "required": ["CORS_ORIGIN", {"name": "REALTIME_JWT_SECRET", "description": "signs", "secret": true,
                "aliases": ["JWT_SECRET"], "generated": {"length": 48}}],
            "optional": [{"name": "REALTIME_KEY_SPACE", "default": "x", "secret": false}] },
        "privileges": {"capabilities": ["NET_ADMIN", "CAP_CHOWN"], "privileged": false, "docker_socket": true,
            "host_mounts": ["/srv/data:/data:ro"]},
        "something_new": {"of": "the future"},
    })
}

#[test]
fn the_second_generation_is_read_whole() {
    let manifest = read(&full()).unwrap();
    assert_eq!((manifest.generation, manifest.version.to_string()), (2, "1.2.3".to_owned()));
    assert_eq!(manifest.requires.host.as_deref(), Some(">=0.9.8"));
    assert_eq!(manifest.requires.dependencies, ["jobs"]);
    let redis = &manifest.requires.services[0];
    assert_eq!(
        (redis.name.as_str(), redis.optional, redis.condition, redis.variable.as_deref()),
        ("redis", true, Condition::Started, Some("REALTIME_REDIS_URL"))
    );
    assert_eq!(manifest.requires.services[1].condition, Condition::Healthy);
    assert_eq!(
        (manifest.requires.services[1].name.as_str(), manifest.requires.services[1].optional),
        ("postgres", false)
    );
    let service = &manifest.service;
    assert_eq!((service.memory, service.cpus, service.pids), (Some(512 << 20), Some(0.5), Some(64)));
    assert_eq!((service.tmpfs.as_slice(), service.stop_grace_seconds), (&["/run".to_owned()][..], 5));
    assert_eq!(service.volumes, [Volume { name: "data".into(), path: "/data".into() }]);
    assert_eq!(
        (service.user.as_deref(), service.dockerfile.as_deref()),
        (Some("65532:65532"), Some("build/Dockerfile"))
    );
    assert_eq!(service.command.as_ref().unwrap().len(), 2);
    let ports: Vec<_> = manifest.ports.iter().map(|port| (port.port, port.variable.as_deref().unwrap())).collect();
    assert_eq!(ports, [(3101, "REALTIME_PORT"), (4200, "REALTIME_DASHBOARD_PORT")]);
    let secret = &manifest.variables[1];
    assert_eq!((secret.generated, secret.required, secret.secret, secret.aliases.len()), (Some(48), true, true, 1));
    assert!(!manifest.variables[2].secret && !manifest.variables[2].required);
    assert_eq!(manifest.privileges.capabilities, ["NET_ADMIN", "CHOWN"]);
    assert!(manifest.privileges.docker_socket);
    assert_eq!(
        (manifest.license.as_str(), manifest.maturity.as_str(), manifest.tags.len()),
        ("free", "implemented", 1)
    );
}

#[test]
fn defaults_harden_only_containers_of_the_second_generation() {
    let plain = with("description", json!("x")).unwrap();
    assert_eq!((plain.generation, plain.service.kind.as_str(), plain.service.read_only), (1, "service", false));
    assert_eq!((plain.service.pids, plain.service.stop_grace_seconds, plain.service.tmpfs.len()), (Some(256), 10, 0));
    let container = second!({"service": {"kind": "container"}}).unwrap();
    assert!(container.service.read_only);
    assert_eq!(container.service.tmpfs, ["/tmp"]);
    let open = second!({"service": {"kind": "container", "read_only": false}}).unwrap();
    assert!(!open.service.read_only && open.service.tmpfs.is_empty());
    let bare = second!({"service": {"kind": "container", "tmpfs": []}}).unwrap();
    assert!(bare.service.read_only && bare.service.tmpfs.is_empty());
    assert!(!with("service", json!({"kind": "container"})).unwrap().service.read_only);
    assert_eq!(with("composeFragment", json!("compose_fragment.yml")).unwrap().service.kind, "compose");
}

#[test]
fn ports_of_the_first_generation_are_found_where_they_hide() {
    let port = |key: &str, value: Value| with(key, value).unwrap().ports.first().map(|port| port.port);
    assert_eq!(port("port", json!(3050)), Some(3050));
    assert_eq!(port("port", json!(0)), None);
    for key in ["port", "defaultPort", "httpPort", "internalPort", "dashboardPort"] {
        assert_eq!(port("config", json!({key: 3104})), Some(3104), "{key}");
    }
    assert_eq!(port("envVars", json!([{"name": "REALTIME_PORT", "default": "3101"}])), Some(3101));
    assert_eq!(port("service", json!({"port": 3102})), Some(3102));
    let manifest = with("port", json!(3050)).unwrap();
    assert_eq!(manifest.ports[0].variable.as_deref(), Some("REALTIME_PORT"));
}

#[test]
fn dependencies_are_read_in_every_shape() {
    let names = |value: Value| with("dependencies", value).unwrap().requires.dependencies;
    assert_eq!(names(json!(["redis-tools", "realtime", "jobs"])), ["redis-tools", "jobs"]);
    assert_eq!(names(json!({"required": ["a"], "optional": ["b"]})), ["a"]);
    assert_eq!(names(json!({"plugins": ["a"]})), ["a"]);
    assert!(names(json!({"npm": ["stripe"], "system": ["curl"]})).is_empty());
    assert_eq!(names(json!({"a": ">=1.0.0"})), ["a"]);
    assert!(names(json!(null)).is_empty());
    assert_eq!(with("minNselfVersion", json!("0.4.8")).unwrap().requires.host.as_deref(), Some(">=0.4.8"));
}

/// The services that a manifest with these dependencies and required variables needs: name, variable, whether guessed.
fn services(dependencies: &Value, required: &Value) -> Vec<(String, Option<String>, bool)> {
    let manifest = json!({
        "name": "realtime", "version": "1.0.0", "dependencies": dependencies, "envVars": { "required": required },
    });
    let needs = read(&manifest).unwrap().requires.services;
    needs.into_iter().map(|need| (need.name, need.variable, need.is_guess)).collect()
}

#[test]
fn services_are_seen_in_dependencies_and_in_required_variables() {
    let need = |name: &str, variable: Option<&str>, is_guess| (name.to_owned(), variable.map(str::to_owned), is_guess);
    assert_eq!(services(&json!(["redis", "jobs"]), &json!([])), [need("redis", None, true)]);
    assert_eq!(
        services(&json!(["redis"]), &json!(["REALTIME_REDIS_URL", "DATABASE_URL"])),
        [need("redis", Some("REALTIME_REDIS_URL"), false), need("postgres", Some("DATABASE_URL"), false)]
    );
    let with_default = json!([{ "name": "REDIS_URL", "default": "redis://here" }]);
    assert!(services(&json!([]), &with_default).is_empty());
}

#[test]
fn hooks_are_listed_with_their_scripts() {
    let manifest =
        with("hooks", json!({"postInstall": "install.sh", "preUninstall": null, "postSync": ["x"]})).unwrap();
    assert_eq!(manifest.hooks, ["postInstall: install.sh", "postSync"]);
}

#[test]
fn m01_what_is_not_plain_json_is_refused() {
    let deep = format!(r#"{{"name":"a","version":"1.0.0","x":{}1{}}}"#, "[".repeat(1000), "]".repeat(1000));
    let large = format!(r#"{{"name":"a","version":"1.0.0","x":"{}"}}"#, "a".repeat(LARGEST_MANIFEST));
    for bad in [
        &b""[..],
        b"null",
        b"[]",
        b"3",
        b"{",
        b"{\"name\":\"a\",\"version\":\"1.0.0\"} x",
        b"\xef\xbb\xbf{\"name\":\"a\",\"version\":\"1.0.0\"}",
        b"{\"name\":\"a\\ud800\",\"version\":\"1.0.0\"}",
        b"{\"name\":\"\xff\",\"version\":\"1.0.0\"}",
        b"{\"name\":\"a\",\"name\":\"b\",\"version\":\"1.0.0\"}",
        b"{\"name\":\"a\",\"version\":\"1.0.0\",\"x\":{\"y\":1,\"y\":2}}",
        b"{\"name\":\"a\",\"version\":\"1.0.0\",\"x\":NaN}",
        b"{\"name\":\"a\",\"version\":\"1.0.0\",\"x\":1e999}",
        deep.as_bytes(),
        large.as_bytes(),
    ] {
        assert!(Manifest::read(bad).is_err(), "{}", String::from_utf8_lossy(&bad[..bad.len().min(60)]));
    }
    assert!(Manifest::read(br#"{"name":"a","version":"1.0.0","x":[[[]]]}"#).is_ok());
}

#[test]
fn m01_known_fields_of_a_wrong_type_are_refused() {
    let known = full();
    for key in known.as_object().unwrap().keys().filter(|key| *key != "something_new") {
        for wrong in [json!(1.5), json!(true), json!([{}]), json!([1])] {
            let mut document = known.clone();
            document[key] = wrong.clone();
            assert!(read(&document).is_err(), "{key}: {wrong}");
        }
    }
    for key in known["service"].as_object().unwrap().keys() {
        for wrong in [json!(true), json!([[]]), json!({"path": 1, "dockerfile": 1})] {
            if key == "read_only" && wrong == json!(true) {
                continue;
            }
            let mut document = known.clone();
            document["service"][key] = wrong.clone();
            assert!(read(&document).is_err(), "service.{key}: {wrong}");
        }
    }
}

#[test]
fn m01_generations_of_the_future_are_refused() {
    for bad in [json!(3), json!(0), json!(-1), json!("2"), json!(1.5)] {
        assert!(with("manifest_version", bad.clone()).is_err(), "{bad}");
    }
    assert_eq!(with("manifest_version", json!(1)).unwrap().generation, 1);
}

#[test]
fn m02_names_and_versions_follow_the_rules() {
    for (name, version) in
        [("../x", "1.0.0"), ("Realtime", "1.0.0"), ("shared", "1.0.0"), ("a", "1.0"), ("a", "latest"), ("a", "")]
    {
        assert!(read(&json!({"name": name, "version": version})).is_err(), "{name} {version}");
    }
    assert!(read(&json!({"version": "1.0.0"})).is_err());
    assert!(read(&json!({"name": "a"})).is_err());
}

#[test]
fn m04_privileges_are_well_formed() {
    for (key, bad) in [
        ("capabilities", json!(["net_admin"])),
        ("capabilities", json!(["NET ADMIN"])),
        ("capabilities", json!([""])),
        ("host_mounts", json!(["/a"])),
        ("host_mounts", json!(["a:/b"])),
        ("host_mounts", json!(["/a/../b:/c"])),
        ("host_mounts", json!(["/a:/b:rw,shared"])),
        ("host_mounts", json!(["/a:b"])),
        ("privileged", json!("yes")),
    ] {
        assert!(second!({"privileges": {key: bad}}).is_err(), "{key} {bad}");
    }
}

#[test]
fn m05_names_of_variables_are_refused_that_no_container_should_get() {
    for bad in ["", "a=b", "a b", "1A", "A-B", "A\0", "LD_PRELOAD", "LD_LIBRARY_PATH", "PATH", "Ä"] {
        for key in ["envVars", "env"] {
            assert!(with(key, json!({"required": [bad]})).is_err(), "{bad:?}");
            assert!(with(key, json!([{"name": bad}])).is_err(), "{bad:?}");
        }
        assert!(with("env", json!([{"name": "GOOD", "aliases": [bad]}])).is_err(), "alias {bad:?}");
    }
    let many: Vec<String> = (0..1001).map(|number| format!("V{number}")).collect();
    assert!(with("envVars", json!({"required": many})).is_err());
    assert!(with("envVars", json!({"required": many[..1000]})).is_ok());
    let exact = "line\nwith $x, 'quotes', ü and \u{1b}";
    let manifest = with("env", json!([{"name": "A", "default": exact}])).unwrap();
    assert_eq!(manifest.variables[0].default.as_deref(), Some(exact));
    assert_eq!(with("env", json!([{"name": "A", "default": 5}])).unwrap().variables[0].default.as_deref(), Some("5"));
    assert!(with("env", json!([{"name": "A", "default": "a\u{0}"}])).is_err());
}

#[test]
fn m05_a_variable_listed_twice_is_required_when_once_required() {
    let manifest = with("envVars", json!({"required": ["A"], "optional": ["A", "B"]})).unwrap();
    let found: Vec<_> = manifest.variables.iter().map(|one| (one.name.as_str(), one.required)).collect();
    assert_eq!(found, [("A", true), ("B", false)]);
}

#[test]
fn m07_health_paths_are_checked_in_every_place() {
    for bad in ["", "health", "//evil", "http://evil/", "/a\r\nb"] {
        assert!(with("health_endpoint", json!(bad)).is_err(), "{bad:?}");
        assert!(second!({"service": {"healthcheck": bad}}).is_err(), "{bad:?}");
        assert!(second!({"service": {"healthcheck": {"path": bad}}}).is_err(), "{bad:?}");
    }
    let manifest = second!({"service": {"healthcheck": {"path": "/ready"}}}).unwrap();
    assert_eq!(manifest.service.health_path.as_deref(), Some("/ready"));
}

#[test]
fn m08_ports_and_volumes_do_not_contend() {
    for bad in [json!(65536), json!(-1), json!("3101"), json!(1.5)] {
        assert!(with("port", bad.clone()).is_err(), "{bad}");
        assert!(second!({"ports": [{"port": bad}]}).is_err(), "{bad}");
    }
    assert!(second!({"ports": [{"port": 0}]}).is_err());
    for second_port in [
        json!({"name": "b", "port": 1}),
        json!({"name": "a", "port": 2}),
        json!({"name": "b", "port": 2, "variable": "REALTIME_PORT"}),
    ] {
        assert!(second!({"ports": [{"name": "a", "port": 1}, second_port]}).is_err(), "{second_port}");
    }
    assert!(second!({"service": {"port": 9}, "ports": [{"name": "http", "port": 1}]}).is_err());
    let ports = second!({"ports": [{"name": "a", "port": 1}, {"name": "b-c", "port": 2}]}).unwrap().ports;
    let variables: Vec<_> = ports.iter().map(|port| port.variable.as_deref().unwrap()).collect();
    assert_eq!(variables, ["REALTIME_PORT", "REALTIME_B_C_PORT"]);
    for (name, path) in [
        ("data", "/other"),
        ("other", "/data"),
        ("Data", "/x"),
        ("../x", "/x"),
        ("x", "x"),
        ("x", "/x/../y"),
        ("x", "/"),
        ("x", "/a:b"),
    ] {
        let volumes = json!([{"name": "data", "path": "/data"}, {"name": name, "path": path}]);
        assert!(second!({"service": {"volumes": volumes}}).is_err(), "{name} {path}");
    }
}

#[test]
fn references_to_files_stay_in_the_package() {
    for key in ["compose", "dockerfile", "build"] {
        for bad in ["../x", "/x", "a/../../b", "a\\b", ""] {
            assert!(second!({"service": {key: bad}}).is_err(), "{key} {bad:?}");
        }
    }
    assert_eq!(second!({"service": {"build": "."}}).unwrap().service.dockerfile, None);
    assert_eq!(
        second!({"service": {"build": "./d/Dockerfile"}}).unwrap().service.dockerfile.as_deref(),
        Some("d/Dockerfile")
    );
    for bad in ["", "-x", "a b", "a;b", "$(x)"] {
        assert!(second!({"service": {"image": bad}}).is_err(), "{bad:?}");
    }
}

#[test]
fn messages_name_the_field_and_cannot_steer_a_terminal() {
    let error = second!({"service": {"port": 70000}}).unwrap_err();
    assert_eq!(error.to_string(), "`service.port` is `70000`, but must be a whole number from 0 to 65535");
    let error = second!({"service": {"image": "\u{1b}[2J"}}).unwrap_err();
    assert!(!error.to_string().contains('\u{1b}'), "{error}");
}

#[test]
fn every_manifest_of_the_shared_collection_reads() {
    let Some(shared) = std::env::var_os("NSELF_TEST_SHARED").map(PathBuf::from) else {
        use std::io::Write;
        writeln!(std::io::stderr(), "not run: 20 checks against ../shared (NSELF_TEST_SHARED is not set)").unwrap();
        return;
    };
    let mut read = 0;
    for folder in ["manifests-v1", "manifests-free"] {
        for entry in fs::read_dir(shared.join("upstream").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let manifest =
                Manifest::read(&fs::read(&path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(manifest.name.as_str(), path.file_stem().unwrap().to_str().unwrap());
            read += 1;
        }
    }
    assert!(read >= 20, "only {read} manifests were there");
}

/// Every property name and every reference of a schema.
fn described(schema: &Value, names: &mut Vec<String>, references: &mut Vec<String>) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                if let ("properties", Some(properties)) = (key.as_str(), value.as_object()) {
                    names.extend(properties.keys().cloned());
                }
                if let ("$ref", Some(reference)) = (key.as_str(), value.as_str()) {
                    references.push(reference.to_owned());
                }
                described(value, names, references);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| described(value, names, references)),
        _ => {}
    }
}

fn keys(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| {
            found.push(key.clone());
            keys(value, found);
        }),
        Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn the_published_schema_describes_every_field_that_is_read() {
    let text = include_str!("../../../registry-schema/plugin.schema.json");
    let schema: Value = serde_json::from_str(text).unwrap();
    let (mut names, mut references, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
    described(&schema, &mut names, &mut references);
    keys(&full(), &mut wanted);
    for key in wanted.iter().filter(|key| !["something_new", "of"].contains(&key.as_str())) {
        assert!(names.contains(key), "{key} is not described");
    }
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(schema.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}
