//! Images: found by digest label or reference, built from a package, pulled, removed.

use std::collections::HashMap;

use bollard::errors::Error as BollardError;
use bollard::query_parameters::{
    BuildImageOptionsBuilder, CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
};
use futures_util::StreamExt;

use super::{Docker, EngineError, accept, label};

/// What is known of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// `sha256:…`
    pub id: String,
    /// `linux/amd64`
    pub platform: String,
    /// The transaction that built it, when it is ours.
    pub transaction: Option<String>,
}

impl Docker {
    /// The image that was built from the archive with this digest, if the engine still has one; and whether this home
    /// built it. Another home's is used as well, but never removed.
    pub async fn image_with_digest(&self, digest: &str, home: &str) -> Result<Option<(String, bool)>, EngineError> {
        let own = self.images_with(&[(label::DIGEST, digest), (label::HOME, home)]).await?;
        if let Some(id) = own.into_iter().next() {
            return Ok(Some((id, true)));
        }
        Ok(self.images_with(&[(label::DIGEST, digest)]).await?.into_iter().next().map(|id| (id, false)))
    }

    /// The images that carry all of these labels, by id.
    pub async fn images_with(&self, labels: &[(&str, &str)]) -> Result<Vec<String>, EngineError> {
        let filters = HashMap::from([
            ("label".to_owned(), labels.iter().map(|(key, value)| format!("{key}={value}")).collect()),
            ("dangling".to_owned(), vec!["false".to_owned()]),
        ]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let images = self.client.list_images(Some(options)).await.map_err(self.failed("list the images"))?;
        Ok(images.into_iter().map(|image| image.id).collect())
    }

    /// An image by reference or id; `None` when the engine has none.
    pub async fn inspect_image(&self, reference: &str) -> Result<Option<ImageFacts>, EngineError> {
        let answer = self.client.inspect_image(reference).await;
        match answer.map_err(self.failed(format!("look at the image `{reference}`"))) {
            Ok(image) => Ok(Some(ImageFacts {
                id: image.id.unwrap_or_default(),
                platform: format!("{}/{}", image.os.unwrap_or_default(), image.architecture.unwrap_or_default()),
                transaction: image
                    .config
                    .and_then(|config| config.labels)
                    .and_then(|mut labels| labels.remove(label::TRANSACTION)),
            })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Builds an image from a tar of the package, sent as it comes; `progress` gets each line that the engine says.
    pub async fn build_image(
        &self,
        (tag, dockerfile): (&str, &str),
        labels: &HashMap<String, String>,
        context: tokio::sync::mpsc::Receiver<Vec<u8>>,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<String, EngineError> {
        let action = format!("build the image `{tag}`");
        // forcerm: a failed step's container goes too, also when this program is gone by then.
        let options =
            BuildImageOptionsBuilder::new().dockerfile(dockerfile).t(tag).labels(labels).rm(true).forcerm(true).build();
        let chunks = futures_util::stream::unfold(context, |mut context| async move {
            let chunk = context.recv().await?;
            Some((bytes::Bytes::from(chunk), context))
        });
        let body = bollard::body_stream(chunks);
        let mut answers = Box::pin(self.client.build_image(options, None, Some(body)));
        let mut id = None;
        let mut last_lines: Vec<String> = Vec::new();
        while let Some(answer) = answers.next().await {
            let answer = match answer {
                // bollard reports what a step said last as an error of its own.
                Err(BollardError::DockerStreamError { error }) => {
                    return Err(build_failure(action, &error, &last_lines));
                }
                answer => answer.map_err(self.failed(action.clone()))?,
            };
            if let Some(error) = answer.error_detail.and_then(|detail| detail.message) {
                return Err(build_failure(action, &error, &last_lines));
            }
            if let Some(found) = answer.aux.and_then(|aux| aux.id) {
                id = Some(found);
            }
            for line in answer.stream.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty()) {
                progress(line);
                last_lines.push(line.to_owned());
            }
            let surplus = last_lines.len().saturating_sub(50);
            last_lines.drain(..surplus);
        }
        id.ok_or_else(|| build_failure(action, "the engine ended the build without an image", &last_lines))
    }

    /// Pulls an image; `progress` gets done and total bytes as far as the engine knows them.
    pub async fn pull_image(
        &self,
        reference: &str,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<(), EngineError> {
        let action = format!("pull the image `{reference}`");
        let (name, tag) = split_reference(reference);
        let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).build();
        let mut answers = Box::pin(self.client.create_image(Some(options), None, None));
        let mut layers: HashMap<String, (u64, u64)> = HashMap::new();
        while let Some(answer) = answers.next().await {
            let answer = answer.map_err(self.failed(action.clone()))?;
            if let Some(message) = answer.error_detail.and_then(|detail| detail.message) {
                return Err(EngineError::Failed { action, message, status: None });
            }
            if let (Some(layer), Some(detail)) = (answer.id, answer.progress_detail) {
                let unsigned = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
                if let (Some(done), Some(total)) = (unsigned(detail.current), unsigned(detail.total)) {
                    layers.insert(layer, (done, total));
                    progress(layers.values().map(|layer| layer.0).sum(), layers.values().map(|layer| layer.1).sum());
                }
            }
        }
        Ok(())
    }

    /// Removes an image by reference or id; false when it was gone or a container still uses it.
    pub async fn remove_image(&self, reference: &str) -> Result<bool, EngineError> {
        let options = RemoveImageOptionsBuilder::new().force(false).noprune(false).build();
        let removed = self.client.remove_image(reference, Some(options), None).await;
        let removed = removed.map(drop).map_err(self.failed(format!("remove the image `{reference}`")));
        // The image is gone; of a layer below it, shared with another that goes at this moment, the other was first.
        if matches!(&removed, Err(EngineError::Failed { message, .. }) if message.contains("unrecognized image ID")) {
            return Ok(true);
        }
        accept(removed, &[404, 409])
    }
}

fn build_failure(action: String, error: &str, last_lines: &[String]) -> EngineError {
    // A layer that the engine has kept of an earlier build goes when that build, or its image, is taken away meanwhile.
    const VANISHED: &[&str] =
        &["unable to find image \"sha256:", "No such image: sha256:", "failed to get digest sha256:"];
    if VANISHED.iter().any(|beginning| error.starts_with(beginning)) {
        return EngineError::Vanished { action, message: error.to_owned() };
    }
    let message = match last_lines {
        [] => error.trim().to_owned(),
        lines => {
            let lines: Vec<String> = lines.iter().map(|line| crate::name::shown(line)).collect();
            format!("{}\n{}", error.trim(), lines.join("\n"))
        }
    };
    EngineError::Failed { action, message, status: None }
}

/// Splits `registry:5000/name:tag` into name and tag; a digest stays with the name.
fn split_reference(reference: &str) -> (&str, &str) {
    if reference.contains('@') {
        return (reference, "");
    }
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (reference, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::{EngineError, build_failure, split_reference};

    #[test]
    fn a_cached_layer_that_went_is_told_from_a_build_that_fails() {
        for error in [
            "unable to find image \"sha256:00\"",
            "No such image: sha256:00",
            "failed to get digest sha256:00: open /var/lib/docker/image/00: no such file or directory",
        ] {
            assert!(matches!(build_failure("build".into(), error, &[]), EngineError::Vanished { .. }), "{error}");
        }
        assert!(matches!(build_failure("build".into(), "exit code 1", &[]), EngineError::Failed { .. }));
    }

    #[test]
    fn references_split_into_name_and_tag() {
        assert_eq!(split_reference("nself/realtime"), ("nself/realtime", "latest"));
        assert_eq!(split_reference("nself/realtime:1.0"), ("nself/realtime", "1.0"));
        assert_eq!(split_reference("localhost:5000/a"), ("localhost:5000/a", "latest"));
        assert_eq!(split_reference("a@sha256:00"), ("a@sha256:00", ""));
    }
}
