//! Images: found by id or reference, imported or built from a package, pulled, removed.

use std::collections::HashMap;

use bollard::errors::Error as BollardError;
use bollard::query_parameters::{
    BuildImageOptionsBuilder, CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
};
use futures_util::{Stream, StreamExt};

use super::{Docker, EngineError, accept, label};

/// What is known of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// `sha256:…`
    pub id: String,
    /// `linux/amd64`
    pub platform: String,
    /// The names of its labels, which a container of it inherits.
    pub labels: Vec<String>,
}

/// An image as the engine lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedImage {
    /// `sha256:…`
    pub id: String,
    /// The image of the build step before it; empty where there is none.
    pub parent: String,
    /// Seconds since 1970.
    pub created: i64,
    pub tags: Vec<String>,
    /// The installation that its label names.
    pub home: Option<String>,
}

/// A build of an image.
#[derive(Debug)]
pub struct Build<'a> {
    /// The name that the image gets.
    pub tag: &'a str,
    /// The Dockerfile in the context.
    pub dockerfile: &'a str,
    /// Whether its programs may use the network.
    pub has_network: bool,
    /// The most memory of each of its programs, in bytes.
    pub memory: u64,
}

/// What the engine reports of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildNews<'a> {
    Line(&'a str),
    /// The image of a step, by its short id; it may be an earlier build's.
    Image(&'a str),
    /// The container of a step, by its short id.
    Container(&'a str),
}

impl<'a> BuildNews<'a> {
    /// What a line of the classic builder says.
    fn of(line: &'a str) -> Self {
        let is_id = |word: &&str| word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Some(step) = line.trim().strip_prefix("---> ") else { return Self::Line(line) };
        match step.strip_prefix("Running in ").filter(is_id) {
            Some(container) => Self::Container(container),
            None if is_id(&step) => Self::Image(step),
            None => Self::Line(line),
        }
    }
}

impl Docker {
    /// The images of these labels, those without a name and those of build steps included. Labels are hints: they say
    /// what to report, never what to remove or to use.
    pub async fn images_labelled(&self, labels: &[(&str, &str)]) -> Result<Vec<ListedImage>, EngineError> {
        let wanted = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        self.list_images(HashMap::from([("label".to_owned(), wanted)])).await
    }

    /// Every image, those of build steps included.
    pub async fn all_images(&self) -> Result<Vec<ListedImage>, EngineError> {
        self.list_images(HashMap::new()).await
    }

    async fn list_images(&self, filters: HashMap<String, Vec<String>>) -> Result<Vec<ListedImage>, EngineError> {
        let options = ListImagesOptionsBuilder::new().all(true).filters(&filters).build();
        let images = self.call("list the images", self.client.list_images(Some(options))).await?;
        let listed = |image: bollard::models::ImageSummary| ListedImage {
            id: image.id,
            parent: image.parent_id,
            created: image.created,
            tags: image.repo_tags.into_iter().filter(|tag| tag != "<none>:<none>").collect(),
            home: image.labels.get(label::HOME).cloned(),
        };
        Ok(images.into_iter().map(listed).collect())
    }

    /// An image by reference or id; `None` when the engine has none.
    pub async fn inspect_image(&self, reference: &str) -> Result<Option<ImageFacts>, EngineError> {
        let answer = self.client.inspect_image(reference);
        match self.call(format!("look at the image `{reference}`"), answer).await {
            Ok(image) => Ok(Some(ImageFacts {
                id: image.id.unwrap_or_default(),
                platform: format!("{}/{}", image.os.unwrap_or_default(), image.architecture.unwrap_or_default()),
                labels: image.config.and_then(|config| config.labels).unwrap_or_default().into_keys().collect(),
            })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Imports an image of one layer from a tar of its files, in one step that the engine does whole or not at all.
    /// `changes` are Dockerfile instructions for its metadata. Gives the image's id.
    pub async fn import_image(
        &self,
        tag: &str,
        changes: Vec<String>,
        layer: tokio::sync::mpsc::Receiver<Vec<u8>>,
    ) -> Result<String, EngineError> {
        let action = format!("import the image `{tag}`");
        let (name, version) = split_reference(tag);
        let options = CreateImageOptionsBuilder::new().from_src("-").repo(name).tag(version).changes(changes).build();
        let mut answers =
            Box::pin(self.client.create_image(Some(options), Some(bollard::body_stream(sent(layer))), None));
        let mut id = None;
        while let Some(answer) = self.call_stream(&action, answers.next()).await? {
            let answer = answer.map_err(self.failed(action.clone()))?;
            if let Some(message) = answer.error_detail.and_then(|detail| detail.message) {
                return Err(EngineError::Failed { action, message, status: None });
            }
            id = answer.status.filter(|status| status.starts_with("sha256:")).or(id);
        }
        let message = "the engine ended the import without an image".to_owned();
        id.ok_or(EngineError::Failed { action, message, status: None })
    }

    /// Builds an image from a tar of the package, sent as it comes; `progress` gets all that the engine reports.
    pub async fn build_image(
        &self,
        build: &Build<'_>,
        context: tokio::sync::mpsc::Receiver<Vec<u8>>,
        progress: &mut (dyn FnMut(BuildNews<'_>) + Send),
    ) -> Result<String, EngineError> {
        let Build { tag, dockerfile, has_network, memory } = *build;
        let action = format!("build the image `{tag}`");
        let memory = i32::try_from(memory).unwrap_or(i32::MAX);
        // forcerm: a failed step's container goes too, also when this program is gone by then.
        let options = BuildImageOptionsBuilder::new()
            .dockerfile(dockerfile)
            .t(tag)
            .rm(true)
            .forcerm(true)
            .memory(memory)
            .memswap(memory)
            .networkmode(if has_network { "default" } else { "none" })
            .build();
        let mut answers = Box::pin(self.client.build_image(options, None, Some(bollard::body_stream(sent(context)))));
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
                progress(BuildNews::of(line));
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
        while let Some(answer) = self.call_stream(&action, answers.next()).await? {
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
        let removed = self.client.remove_image(reference, Some(options), None);
        let removed = self.call(format!("remove the image `{reference}`"), removed).await.map(drop);
        // The image is gone; of a layer below it, shared with another that goes at this moment, the other was first.
        if matches!(&removed, Err(EngineError::Failed { message, .. }) if message.contains("unrecognized image ID")) {
            return Ok(true);
        }
        accept(removed, &[404, 409])
    }
}

fn sent(chunks: tokio::sync::mpsc::Receiver<Vec<u8>>) -> impl Stream<Item = bytes::Bytes> + Send + 'static {
    futures_util::stream::unfold(chunks, |mut chunks| async move {
        let chunk = chunks.recv().await?;
        Some((bytes::Bytes::from(chunk), chunks))
    })
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
    use super::{BuildNews, EngineError, build_failure, split_reference};

    #[test]
    fn the_images_and_containers_of_build_steps_are_read() {
        assert_eq!(BuildNews::of(" ---> Running in 0123456789ab"), BuildNews::Container("0123456789ab"));
        assert_eq!(BuildNews::of(" ---> 0123456789ab"), BuildNews::Image("0123456789ab"));
        for line in [" ---> Using cache", "Step 1/2 : FROM scratch", " ---> ", " ---> [Warning] xyz"] {
            assert_eq!(BuildNews::of(line), BuildNews::Line(line));
        }
    }

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
