//! Packages of the probe: valid unless a test says otherwise, and each with a name that no other test uses.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::sandbox::unique;

/// The plugin's name is in the layer: images of different tests must share none, since the engine that removes one image
/// may take away what it is just building another from.
const DOCKERFILE: &str = "FROM scratch\nCOPY id probe /\n";

/// A package that is still to be made.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// What makes its image one of its own, whatever it is named.
    id: String,
    pub(crate) version: String,
    /// Where the probe listens, inside and outside; `None` for a plugin without a port.
    pub(crate) port: Option<u16>,
    mode: String,
    manifest: Value,
    files: Vec<(String, Vec<u8>)>,
    image: Option<String>,
}

/// A tar.gz with what a registry says of it.
#[derive(Debug, Clone)]
pub(crate) struct Archive {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sha256: String,
}

impl Package {
    /// A healthy plugin of version 1.0.0 on a port of its own.
    pub(crate) fn new(word: &str) -> Self {
        let port = super::free_port();
        let name = unique(word);
        let manifest = json!({
            "manifest_version": 2,
            "description": "A probe for tests",
            "license": "free",
            "category": "testing",
            "author": "nself",
            "requires": { "plugins": [], "services": [] },
            "service": {
                "kind": "container",
                "healthcheck": "/health",
                "read_only": true,
                "tmpfs": ["/tmp"],
                // The probe is process 1 and deaf to SIGTERM.
                "stop_grace_seconds": 0,
            },
        });
        Self {
            id: name.clone(),
            name,
            version: "1.0.0".into(),
            port: Some(port),
            mode: "ok".into(),
            manifest,
            files: Vec::new(),
            image: None,
        }
    }

    /// A probe under a real plugin's name, on a port of its own.
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::new("probe") }
    }

    /// The same, where slow, for so many milliseconds.
    pub(crate) fn slow_for(self, milliseconds: u32) -> Self {
        self.edit(|manifest| {
            let delay = json!({ "name": "PROBE_DELAY", "default": milliseconds.to_string() });
            manifest["env"] = json!({ "optional": [delay] });
        })
    }

    /// The same plugin in another version.
    pub(crate) fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// How the probe behaves.
    pub(crate) fn mode(mut self, mode: &str) -> Self {
        mode.clone_into(&mut self.mode);
        self
    }

    pub(crate) fn port(mut self, port: Option<u16>) -> Self {
        self.port = port;
        self
    }

    /// Changes the manifest.
    pub(crate) fn edit(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.manifest);
        self
    }

    /// Adds a file, or puts it in the place of the one of that name.
    pub(crate) fn file(mut self, name: &str, bytes: &[u8]) -> Self {
        self.files.push((name.to_owned(), bytes.to_vec()));
        self
    }

    /// Runs an image instead of building one.
    pub(crate) fn image(mut self, reference: &str) -> Self {
        self.image = Some(reference.to_owned());
        self
    }

    /// The plugin's variable for its port.
    pub(crate) fn port_variable(&self) -> String {
        format!("{}_PORT", self.prefix())
    }

    /// What the plugin's variables begin with.
    pub(crate) fn prefix(&self) -> String {
        self.name.to_ascii_uppercase().replace('-', "_")
    }

    /// Where the probe is reached.
    pub(crate) fn number(&self) -> u16 {
        self.port.expect("a plugin with a port")
    }

    fn manifest(&self) -> Value {
        let mut manifest = self.manifest.clone();
        manifest["name"] = json!(self.name);
        manifest["version"] = json!(self.version);
        if let Some(port) = self.port {
            manifest["service"]["port"] = json!(port);
        }
        // Not in the image: each instruction of a Dockerfile costs the engine a tenth of a second.
        if manifest["service"].get("command").is_none() {
            manifest["service"]["command"] = self.command();
        }
        if let Some(image) = &self.image {
            manifest["service"]["image"] = json!(image);
        }
        manifest
    }

    fn command(&self) -> Value {
        json!(["/probe", self.mode, self.port.unwrap_or(8080).to_string()])
    }

    /// Every file of the package.
    pub(crate) fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let mut contents = vec![("plugin.json".to_owned(), self.manifest().to_string().into_bytes())];
        if self.image.is_none() {
            contents.push(("Dockerfile".to_owned(), DOCKERFILE.as_bytes().to_vec()));
            contents.push(("id".to_owned(), self.id.clone().into_bytes()));
            contents.push(("probe".to_owned(), probe().to_vec()));
        }
        contents.retain(|(name, _)| self.files.iter().all(|(other, _)| other != name));
        contents.extend(self.files.iter().cloned());
        contents
    }

    /// Writes the package as a folder below `into` and gives its path.
    pub(crate) fn folder(&self, into: &Path) -> PathBuf {
        let folder = into.join(&self.name);
        for (name, bytes) in self.contents() {
            let path = folder.join(&name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
            if name == "probe" {
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        folder
    }

    /// The package as an archive.
    pub(crate) fn archive(&self) -> Archive {
        let contents = self.contents();
        let entries: Vec<(String, &[u8])> =
            contents.iter().map(|(name, bytes)| (format!("{}/{name}", self.name), bytes.as_slice())).collect();
        archive_of(&entries)
    }

    /// A tar of what an image of the probe is built from.
    pub(crate) fn build_context(&self) -> Vec<u8> {
        let id = self.id.as_bytes();
        let own = self.files.iter().find(|(name, _)| name == "Dockerfile").map(|(_, bytes)| bytes.as_slice());
        tar_of(&[
            ("Dockerfile".to_owned(), own.unwrap_or(DOCKERFILE.as_bytes())),
            ("id".to_owned(), id),
            ("probe".to_owned(), probe()),
        ])
    }
}

impl Package {
    /// The only layer of an image of the probe, as a tar.
    pub(crate) fn layer(&self) -> Vec<u8> {
        tar_of(&[("id".to_owned(), self.id.as_bytes()), ("probe".to_owned(), probe())])
    }
}

/// A tar.gz of these files, whatever their names.
pub(crate) fn archive_of(entries: &[(String, &[u8])]) -> Archive {
    Archive::of_tar(&tar_of(entries))
}

fn tar_of(entries: &[(String, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        // Written by hand, since the library refuses the hostile ones.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(if name.ends_with("probe") { 0o755 } else { 0o644 });
        header.set_size(bytes.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        tar.append(&header, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

impl Archive {
    pub(crate) fn of_tar(tar: &[u8]) -> Self {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
        gzip.write_all(tar).unwrap();
        Self::of_bytes(gzip.finish().unwrap())
    }

    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        let sha256 = Sha256::digest(&bytes).iter().fold(String::new(), |mut text, byte| {
            use std::fmt::Write;
            write!(text, "{byte:02x}").unwrap();
            text
        });
        Self { bytes, sha256 }
    }
}

/// The probe, built once for all runs that have the same source.
fn probe() -> &'static [u8] {
    static PROBE: OnceLock<Vec<u8>> = OnceLock::new();
    PROBE.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/probe.rs");
        let text = std::fs::read(&source).unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let built = folder.join(format!("probe-{}", &Archive::of_bytes(text).sha256[..16]));
        // Test binaries that run side by side build it once.
        let lock = std::fs::File::create(folder.join("probe.lock")).unwrap();
        lock.lock().unwrap();
        if !built.exists() {
            let unfinished = built.with_extension("part");
            let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
            let output = std::process::Command::new(rustc)
                .args(["--edition", "2024", "-O", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"])
                .arg(&unfinished)
                .arg(&source)
                .output()
                .expect("rustc, which built these tests");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            std::fs::rename(&unfinished, &built).unwrap();
        }
        std::fs::read(&built).unwrap()
    })
}
