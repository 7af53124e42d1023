//! The image of an installation: imported, built or pulled, with its limits and its journal.

use std::time::Duration;

use super::Run;
use crate::build_journal::BuildJournal;
use crate::context::{now, unix_seconds};
use crate::docker::{Build, BuildNews, EngineError, label};
use crate::error::Error;
use crate::package::PackageError;
use crate::package::recipe::{Layer, Recipe};
use crate::preflight;
use crate::ui::Event;

/// The most memory of each program that a build runs, in bytes.
const BUILD_MEMORY: u64 = 1024 * 1024 * 1024;

impl Run<'_> {
    pub(super) async fn build(&mut self, tag: &str) -> Result<(), Error> {
        let job = self.job;
        let Recipe::Dockerfile { layer, path, .. } = job.recipe else { return Ok(()) };
        let staging = self.cx.state.staging(job.transaction);
        let journal = BuildJournal::begin(&staging, tag, unix_seconds(now()))?;
        self.proven.image_id = match layer {
            Some(layer) => self.import(tag, layer).await?,
            None => self.build_steps((tag, path), journal).await?,
        };
        Ok(())
    }

    /// One layer and its metadata, which the engine takes whole or not at all.
    async fn import(&self, tag: &str, layer: &Layer) -> Result<String, Error> {
        self.started(&format!("importing the image {tag}"));
        let (sender, chunks) = tokio::sync::mpsc::channel(4);
        let mut changes = layer.changes.clone();
        let labels = self.job.image_labels.iter();
        changes.extend(labels.map(|(key, value)| format!("LABEL {key}={value:?}")));
        let layer = layer.clone();
        let writer = tokio::task::spawn_blocking(move || layer.write(ChannelWriter { sender }));
        let imported = self.unless_ended(self.docker.import_image(tag, changes, chunks)).await;
        self.written(writer, imported).await
    }

    async fn build_steps(&self, (tag, path): (&str, &str), mut journal: BuildJournal) -> Result<String, Error> {
        self.started(&format!("building the image {tag}"));
        let plugin = self.plugin().to_owned();
        let reporter = self.cx.reporter.clone();
        let mut progress = move |news: BuildNews<'_>| {
            journal.note(news);
            if let BuildNews::Line(text) = news {
                reporter.event(Event::Detail { plugin: &plugin, text });
            }
        };
        let (sender, context) = tokio::sync::mpsc::channel(4);
        let recipe = self.job.recipe.clone();
        let home = self.job.labels.get(label::HOME).cloned().unwrap_or_default();
        let writer = tokio::task::spawn_blocking(move || {
            recipe.write_build_context((label::HOME, &home), ChannelWriter { sender })
        });
        let has_network = self.job.build_network;
        let wanted = Build { tag, dockerfile: path, has_network, memory: BUILD_MEMORY };
        let limit = self.cx.settings.build_timeout;
        let request = async {
            match tokio::time::timeout(limit, self.docker.build_image(&wanted, context, &mut progress)).await {
                Ok(answer) => answer,
                Err(_) => Err(too_slow(tag, limit)),
            }
        };
        // Dropping the request ends the build; what its steps have left is removed with the journal.
        let made = self.unless_ended(request).await;
        self.written(writer, made).await
    }

    /// A request, unless what the plugin requires fails or the user interrupts.
    async fn unless_ended<T>(&self, request: impl Future<Output = Result<T, EngineError>>) -> Result<T, Error> {
        tokio::select! {
            answer = request => Ok(answer?),
            error = self.job.order.failure() => Err(error),
            () = self.cx.interrupt.wanted() => Err(Error::Interrupted),
        }
    }

    /// What could not be read of the package explains a failure of the engine's better than the engine does.
    async fn written<T>(
        &self,
        writer: tokio::task::JoinHandle<Result<T, PackageError>>,
        made: Result<String, Error>,
    ) -> Result<String, Error> {
        let id = match made {
            Err(error @ Error::Interrupted) => return Err(error),
            made => made,
        };
        match writer.await {
            Ok(Err(source)) if id.is_ok() => Err(Error::Package { plugin: self.plugin().to_owned(), source }),
            _ => id,
        }
    }

    pub(super) async fn pull(&mut self, reference: &str) -> Result<(), Error> {
        self.started(&format!("pulling the image {reference}"));
        let plugin = self.plugin().to_owned();
        let reporter = self.cx.reporter.clone();
        let mut progress =
            move |done, total| reporter.event(Event::Bytes { plugin: &plugin, done, total: Some(total) });
        self.unless_ended(self.docker.pull_image(reference, &mut progress)).await?;
        let Some(image) = self.docker.inspect_image(reference).await? else {
            let action = format!("use the image `{reference}`");
            return Err(EngineError::Vanished { action, message: "it was pulled and is gone".to_owned() }.into());
        };
        preflight::check_platform(&self.job.plan.plugin, reference, &image.platform)?;
        self.proven.image_id = image.id;
        Ok(())
    }
}

fn too_slow(tag: &str, limit: Duration) -> EngineError {
    let message = format!("it was not done within {} s (NSELF_PLUGIN_BUILD_TIMEOUT)", limit.as_secs_f64());
    EngineError::Failed { action: format!("build the image `{tag}`"), message, status: None }
}

/// Hands what is written to the engine's request, chunk by chunk, so that no package is held in memory whole.
struct ChannelWriter {
    sender: tokio::sync::mpsc::Sender<Vec<u8>>,
}

impl std::io::Write for ChannelWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let chunk = bytes[..bytes.len().min(256 * 1024)].to_vec();
        let length = chunk.len();
        let closed = |_| std::io::Error::new(std::io::ErrorKind::BrokenPipe, "the engine takes no more");
        self.sender.blocking_send(chunk).map_err(closed)?;
        Ok(length)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
