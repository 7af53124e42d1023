//! What one job does: fetches its file, makes what was ordered, stores it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use kit::clock;
use object_store::path::Path;

use crate::config::ImageDefaults;
use crate::content::Kind;
use crate::images::{
    Decoded, Description, Fit, Format, Output, Rendering, Shape, Source, describe, file_digests, optimize, render,
    shrink,
};
use crate::jobs::{Job, Operation, Optimization, Options, Scan, Thumbnail};
use crate::keys;
use crate::problem::Problem;
use crate::state::App;
use crate::upload::Upload;
use crate::works::Control;

/// What a job brought.
#[derive(Default)]
pub(super) struct Yield {
    pub(super) thumbnails: Vec<Thumbnail>,
    pub(super) metadata: Option<Description>,
    pub(super) optimization: Option<Optimization>,
    pub(super) scan: Option<Scan>,
    pub(super) result_path: Option<String>,
}

/// What is made in one go while the pixels are in memory.
#[derive(Default)]
struct Made {
    thumbnails: Vec<(u32, Output)>,
    optimized: Option<Output>,
    metadata: Option<Description>,
}

/// Does a job and stores what it makes.
pub(super) async fn perform(app: &Arc<App>, job: &Job) -> Result<Yield, Problem> {
    let upload = fetch(app, job).await?;
    let size = upload.size;
    let made = make(app, job, upload).await?;
    let mut result = Yield::default();
    for (side, output) in made.thumbnails {
        result.thumbnails.push(store_thumbnail(app, &job.file_id, side, output).await?);
    }
    if let Some(output) = made.optimized {
        let key = keys::optimized(&job.file_id, output.format);
        let optimization = optimization(&key, &output, size);
        app.storage.put(&key, output.bytes).await?;
        result.result_path = Some(key.to_string());
        result.optimization = Some(optimization);
    }
    result.metadata = made.metadata;
    result.scan = job.operations.contains(&Operation::Scan).then(|| Scan::off(&job.file_id));
    Ok(result)
}

async fn fetch(app: &App, job: &Job) -> Result<Upload, Problem> {
    if let Some(url) = &job.file_url {
        let fetched = async {
            let answer = app.outbound.fetch(url).await?;
            app.intake.take(answer.bytes_stream(), job.file_name.clone()).await
        };
        // Another server is not ours to wait for.
        return fetched.await.map_err(|problem| match problem {
            Problem::Storage(text) => Problem::Missing(text),
            other => other,
        });
    }
    let key = keys::named(job.file_path.as_deref().unwrap_or_default())?;
    let file = match app.storage.get(&key).await {
        // A bucket that is not there yet answers as a file that is not there.
        Err(problem @ Problem::Missing(_)) => return Err(app.storage.check().await.err().unwrap_or(problem)),
        opened => opened?,
    };
    if file.meta.size > app.intake.bounds.file_bytes {
        return Err(Problem::TooLarge(Some(file.meta.size), app.intake.bounds.file_bytes));
    }
    app.intake.take(file.into_stream().boxed(), job.file_name.clone()).await
}

async fn make(app: &Arc<App>, job: &Job, upload: Upload) -> Result<Made, Problem> {
    let (operations, options, images) = (job.operations.clone(), job.options, app.config.images.clone());
    let has = move |operation| operations.contains(&operation);
    let pixels = has(Operation::Thumbnail) || has(Operation::Optimize);
    let source = match upload.kind {
        Kind::Image(_) => Some(app.source(&upload)?),
        _ if pixels => return Err(app.source(&upload).err().unwrap_or(Problem::Unsupported(String::new()))),
        _ => None,
    };
    if !pixels && !has(Operation::Metadata) {
        return Ok(Made::default());
    }
    let work = move |control: &Control| {
        let mut made = match source {
            Some(source) => {
                let header = source.header(control)?;
                source.with_pixels(&header, has(Operation::Optimize), control, |bytes, decoded| {
                    let order = Order { images: &images, options, source: &source, control };
                    order.make(bytes, decoded, &has)
                })?
            }
            None => Made::default(),
        };
        if has(Operation::Metadata) {
            let failed = |error| Problem::broken("reading it failed", error);
            let (md5, sha256) = file_digests(&upload.path).map_err(failed)?;
            let image = made.metadata.take().unwrap_or_default().image;
            let mime_type = upload.kind.mime().to_owned();
            made.metadata = Some(Description { mime_type, size: upload.size, md5, sha256, image });
        }
        Ok(made)
    };
    app.works.run_in_turn("job", work).await
}

struct Order<'a> {
    images: &'a ImageDefaults,
    options: Options,
    source: &'a Source,
    control: &'a Control,
}

impl Order<'_> {
    fn make(&self, bytes: &Bytes, decoded: &Decoded, has: &impl Fn(Operation) -> bool) -> Result<Made, Problem> {
        let mut made = Made::default();
        if has(Operation::Thumbnail) {
            made.thumbnails = thumbnails(decoded, self.images, self.source, self.control)?;
        }
        if has(Operation::Optimize) {
            let rendering = Rendering {
                shape: self.options.within.map(|(width, height)| Shape::within(width, height)),
                format: None,
                quality: self.options.quality.unwrap_or(self.images.quality),
                progressive: true,
                small: true,
            };
            made.optimized = Some(optimize(bytes, decoded, rendering, self.control, self.source.limits)?);
        }
        if has(Operation::Metadata) {
            let image = describe(decoded, self.source.limits, self.control)?;
            made.metadata = Some(Description { image, ..Description::default() });
        }
        Ok(made)
    }
}

/// The thumbnails of all configured sizes: squares from the middle, never larger than the image.
pub(crate) fn thumbnails(
    decoded: &Decoded,
    images: &ImageDefaults,
    source: &Source,
    control: &Control,
) -> Result<Vec<(u32, Output)>, Problem> {
    let format = if decoded.header.has_alpha { Format::Png } else { Format::Jpeg };
    let square = |side: u32| Shape { width: Some(side), height: Some(side), fit: Fit::Cover, enlarge: false };
    let Some(largest) = images.thumbnail_sizes.iter().max() else { return Ok(Vec::new()) };
    // The many pixels are read once, for the largest; the others are made of that.
    let decoded = &shrink(decoded, square(*largest), source.limits, control)?;
    let one = |side: &u32| {
        let rendering = Rendering {
            shape: Some(square(*side)),
            format: Some(format),
            quality: images.thumbnail_quality,
            progressive: false,
            small: false,
        };
        Ok((*side, render(decoded, rendering, source.limits, control)?))
    };
    images.thumbnail_sizes.iter().map(one).collect()
}

/// Puts a thumbnail where applications look for it.
pub(crate) async fn store_thumbnail(app: &App, file_id: &str, side: u32, output: Output) -> Result<Thumbnail, Problem> {
    let key = keys::thumbnail(file_id, side, output.format);
    let thumbnail = Thumbnail {
        id: format!("{file_id}-{side}"),
        file_id: file_id.to_owned(),
        path: key.to_string(),
        width: output.width,
        height: output.height,
        size: output.bytes.len() as u64,
        format: output.format.to_owned(),
        created_at: clock::iso(clock::now()),
    };
    app.storage.put(&key, output.bytes).await?;
    Ok(thumbnail)
}

fn optimization(key: &Path, output: &Output, original_size: u64) -> Optimization {
    let optimized_size = output.bytes.len() as u64;
    Optimization {
        path: key.to_string(),
        width: output.width,
        height: output.height,
        format: output.format.to_owned(),
        original_size,
        optimized_size,
        savings_bytes: i64::try_from(original_size).unwrap_or(0) - i64::try_from(optimized_size).unwrap_or(0),
        savings_percent: savings_percent(original_size, optimized_size),
    }
}

/// How much smaller the second size is, in percent with one decimal.
#[expect(clippy::cast_precision_loss, reason = "sizes of files are far below where floats lose whole numbers")]
pub(crate) fn savings_percent(original: u64, now: u64) -> f64 {
    let saved = original as f64 - now as f64;
    (saved * 1000.0 / (original as f64).max(1.0)).round() / 10.0
}
