//! What the engine reports of itself and of the machine that it runs on: `/info` and `/version`, read once and judged
//! elsewhere.

use std::path::PathBuf;

use super::{Docker, EngineError};

/// The engine, in its own words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineInfo {
    pub version: String,
    /// The newest API that it offers.
    pub api: String,
    /// The API that this program speaks with it.
    pub spoken: String,
    pub rootless: bool,
    /// `linux` or `windows`: what its containers run.
    pub os_type: String,
    /// As the kernel calls it: `x86_64`, `aarch64`, …
    pub architecture: String,
    /// Where it keeps images and volumes; on its own machine, which may be a virtual one.
    pub root_dir: Option<PathBuf>,
    /// The memory of its machine, in bytes.
    pub memory: Option<u64>,
    /// The limits that it cannot enforce.
    pub missing_limits: Vec<&'static str>,
}

impl Docker {
    /// Where it keeps images and volumes; the answer is remembered.
    pub async fn root_dir(&self) -> Result<Option<PathBuf>, EngineError> {
        Ok(self.about().await?.docker_root_dir.clone().filter(|path| !path.is_empty()).map(PathBuf::from))
    }

    /// Asks for both side by side. It takes the engine some time: it runs other programs to know their versions.
    pub async fn info(&self) -> Result<EngineInfo, EngineError> {
        let version = self.call("ask the engine for its version", self.client.version());
        let (info, version) = tokio::try_join!(self.about(), version)?;
        let info = info.clone();
        let security = info.security_options.unwrap_or_default();
        // Said with true or false; an engine that does not say so is believed to have it.
        let limits = [("memory", info.memory_limit), ("processes", info.pids_limit), ("CPU time", info.cpu_cfs_quota)];
        Ok(EngineInfo {
            version: version.version.or(info.server_version).unwrap_or_default(),
            api: version.api_version.unwrap_or_default(),
            spoken: self.client.client_version().to_string(),
            rootless: security.iter().any(|option| option.split(',').any(|part| part == "name=rootless")),
            os_type: info.os_type.unwrap_or_default(),
            architecture: info.architecture.unwrap_or_default(),
            root_dir: info.docker_root_dir.filter(|path| !path.is_empty()).map(PathBuf::from),
            memory: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0),
            missing_limits: limits.iter().filter(|(_, has)| *has == Some(false)).map(|(name, _)| *name).collect(),
        })
    }
}
