//! The archives of a command: each is fetched once, whoever asks first, and kept until it is unpacked. Owns no file: what
//! is too large for memory lies in a file without a name, which is gone with the process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::pipeline::Shared;
use crate::error::Error;
use crate::fs;
use crate::name::PluginName;
use crate::package::archive::Archive;
use crate::package::fetch;
use crate::package::manifest::Manifest;
use crate::registry::Release;
use crate::ui::Event;

/// What was fetched, by plugin, with the version that it is.
#[derive(Debug, Default)]
pub struct Downloads(Mutex<HashMap<PluginName, (semver::Version, Archive)>>);

impl Downloads {
    /// The archive of a release: the one that was fetched already, else fetched now, after every address and digest rule.
    pub(super) async fn take(&self, shared: &Shared<'_>, release: &Release) -> Result<Archive, Error> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&release.name);
        if let Some((version, archive)) = known
            && version == release.version
            && release.digest.is_none_or(|digest| digest == archive.digest())
        {
            return Ok(archive);
        }
        let cx = shared.cx;
        let plugin = release.name.as_str().to_owned();
        cx.reporter.event(Event::Started { plugin: &plugin, what: "fetching the archive" });
        let reporter = cx.reporter.clone();
        let shown = plugin.clone();
        let mut progress = move |done, total| reporter.event(Event::Bytes { plugin: &shown, done, total });
        let http = if shared.is_offline { None } else { Some(crate::http::Http::new(shared.allow_http)?) };
        let folder = cx.state.spool();
        fs::create_folder(&folder)?;
        tokio::select! {
            archive = fetch::fetch(release, &folder, http.as_ref(), shared.policy, &mut progress) => {
                archive.map_err(|source| Error::Package { plugin, source })
            }
            () = cx.interrupt.wanted() => Err(Error::Interrupted),
        }
    }

    /// The manifest in a release's archive, which is kept for whoever takes it.
    pub(super) async fn manifest(&self, shared: &Shared<'_>, release: &Release) -> Result<Manifest, Error> {
        let mut archive = self.take(shared, release).await?;
        let (name, version) = (release.name.clone(), release.version.clone());
        let (archive, manifest) = super::stage::beside(move || {
            let manifest = archive.manifest(Some(&name), Some(&version));
            (archive, manifest)
        })
        .await;
        let manifest =
            manifest.map_err(|source| Error::Package { plugin: release.name.as_str().to_owned(), source })?;
        let mut archives = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        archives.insert(release.name.clone(), (release.version.clone(), archive));
        Ok(manifest)
    }
}
