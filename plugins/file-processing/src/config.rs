//! The plugin's settings; every variable it reads is named here or in the shared crate.

use std::path::PathBuf;
use std::time::Duration;

use kit::{ConfigurationError, Environment, Settings};
use url::Url;

use crate::outbound::Policies;
use crate::upload::Bounds;

const NAME: &str = "file-processing";
const PORT: u16 = 3104;
/// The most bytes of a JSON body.
const JSON_BYTES: usize = 1 << 20;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MEBIBYTE: u64 = 1 << 20;
/// What stored files may occupy, unless something else is said: 10 GiB.
const QUOTA_BYTES: u64 = 10 << 30;

/// A bucket of an S3-compatible server.
#[derive(Clone)]
pub(crate) struct Bucket {
    /// The server; Amazon's own where there is none.
    pub(crate) endpoint: Option<String>,
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

/// How images are written where the caller does not say.
#[derive(Debug, Clone)]
pub(crate) struct ImageDefaults {
    pub(crate) max_width: u32,
    pub(crate) max_height: u32,
    pub(crate) quality: u8,
    pub(crate) thumbnail_size: u32,
    pub(crate) thumbnail_quality: u8,
    /// The sizes of a job's thumbnails, in pixels a side.
    pub(crate) thumbnail_sizes: Vec<u32>,
}

/// How long files are kept after they were written; for ever where there is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    /// Results of requests.
    pub(crate) results: Option<Duration>,
    /// Uploaded originals.
    pub(crate) originals: Option<Duration>,
    /// Thumbnails and optimised files.
    pub(crate) thumbnails: Option<Duration>,
}

/// Everything that is configured.
pub(crate) struct Config {
    pub(crate) server: Settings,
    /// The folder of the volume: files, journal, temporary files.
    pub(crate) data: PathBuf,
    pub(crate) bucket: Option<Bucket>,
    /// Where callers reach this server, without a `/` at its end.
    pub(crate) public_url: Option<String>,
    /// Signs links to files; a key of the volume's own where there is none.
    pub(crate) link_secret: Option<String>,
    pub(crate) link_lifetime: Duration,
    /// The most bytes of all stored files.
    pub(crate) quota: Option<u64>,
    pub(crate) uploads: Bounds,
    pub(crate) max_pixels: u64,
    /// What all works together may occupy.
    pub(crate) memory_bytes: u64,
    pub(crate) images: ImageDefaults,
    /// MIME types that are taken; all that can be processed where there is none.
    pub(crate) allowed_types: Option<Vec<String>>,
    pub(crate) virus_scan_wanted: bool,
    pub(crate) concurrency: usize,
    pub(crate) queue: usize,
    pub(crate) timeout: Duration,
    pub(crate) webhook_url: Option<String>,
    pub(crate) webhook_secret: Option<String>,
    pub(crate) policies: Policies,
    pub(crate) retention: Retention,
    /// How long jobs that came to an end are kept.
    pub(crate) job_retention: Duration,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It holds secrets.
        formatter.write_str("Config")
    }
}

impl Config {
    /// Reads all settings.
    pub(crate) fn read(environment: &Environment) -> Result<Self, ConfigurationError> {
        let data = environment.text(&["FILE_PROCESSING_DATA_DIR"]).unwrap_or_else(|| "/data".to_owned());
        let concurrency = ["FILE_PROCESSING_CONCURRENCY", "FILE_QUEUE_CONCURRENCY"];
        Ok(Self {
            server: Settings::read(environment, NAME, PORT, JSON_BYTES)?,
            data: PathBuf::from(data),
            bucket: bucket(environment)?,
            public_url: public_url(environment)?,
            link_secret: environment.secret(&["FILE_PROCESSING_LINK_SECRET"])?,
            link_lifetime: environment.duration(&["FILE_PROCESSING_LINK_LIFETIME"], SECOND, SECOND * 86_400)?,
            quota: Some(environment.number(&["FILE_PROCESSING_STORAGE_QUOTA"], QUOTA_BYTES)?)
                .filter(|bytes| *bytes > 0),
            uploads: uploads(environment)?,
            max_pixels: number(environment, &["FILE_PROCESSING_MAX_PIXELS"], 40_000_000, 1)?,
            memory_bytes: number(environment, &["FILE_PROCESSING_MEMORY_BUDGET"], 384 * MEBIBYTE, 16 * MEBIBYTE)?,
            images: image_defaults(environment)?,
            allowed_types: environment.list(&["FILE_PROCESSING_ALLOWED_TYPES", "FILE_ALLOWED_TYPES"]),
            virus_scan_wanted: environment
                .switch(&["FILE_PROCESSING_VIRUS_SCAN_ENABLED", "FILE_ENABLE_VIRUS_SCAN"], false)?,
            concurrency: number(environment, &concurrency, 5, 1)?,
            queue: environment.number(&["FILE_PROCESSING_QUEUE_SIZE"], 100)?,
            timeout: environment.duration(&["FILE_PROCESSING_TIMEOUT"], MILLISECOND, SECOND * 30)?,
            webhook_url: webhook_url(environment)?,
            webhook_secret: environment.secret(&["FILE_PROCESSING_WEBHOOK_SECRET"])?,
            policies: Policies::read(environment)?,
            retention: retention(environment)?,
            job_retention: environment.duration(&["FILE_PROCESSING_JOB_RETENTION"], SECOND, SECOND * 604_800)?,
        })
    }
}

fn number<T: std::str::FromStr + PartialOrd + std::fmt::Display + Copy>(
    environment: &Environment,
    names: &[&str],
    default: T,
    least: T,
) -> Result<T, ConfigurationError> {
    let value = environment.number(names, default)?;
    if value < least {
        let message = format!("`{}` is {value}, and must be at least {least}", names[0]);
        return Err(ConfigurationError::new(message));
    }
    Ok(value)
}

fn retention(environment: &Environment) -> Result<Retention, ConfigurationError> {
    let read = |name: &str, default: Duration| {
        let time = environment.duration(&[name], SECOND, default)?;
        Ok((!time.is_zero()).then_some(time))
    };
    Ok(Retention {
        results: read("FILE_PROCESSING_RESULT_RETENTION", SECOND * 86_400)?,
        originals: read("FILE_PROCESSING_ORIGINAL_RETENTION", Duration::ZERO)?,
        thumbnails: read("FILE_PROCESSING_THUMBNAIL_RETENTION", Duration::ZERO)?,
    })
}

fn uploads(environment: &Environment) -> Result<Bounds, ConfigurationError> {
    let file_bytes = number(environment, &["FILE_PROCESSING_MAX_FILE_SIZE", "FILE_MAX_SIZE"], 50 * MEBIBYTE, 1)?;
    let request_bytes = environment.number(&["FILE_PROCESSING_MAX_REQUEST_SIZE"], file_bytes.saturating_mul(4))?;
    Ok(Bounds {
        file_bytes,
        request_bytes,
        space_bytes: number(environment, &["FILE_PROCESSING_UPLOAD_SPACE"], 2048 * MEBIBYTE, file_bytes)?,
        idle: environment.duration(&["FILE_PROCESSING_UPLOAD_IDLE_TIMEOUT"], MILLISECOND, SECOND * 15)?,
        whole: environment.duration(&["FILE_PROCESSING_UPLOAD_TIMEOUT"], MILLISECOND, SECOND * 600)?,
        least_rate: environment.number(&["FILE_PROCESSING_UPLOAD_MIN_RATE"], 16 * 1024)?,
    })
}

fn image_defaults(environment: &Environment) -> Result<ImageDefaults, ConfigurationError> {
    let sizes = ["FILE_PROCESSING_THUMBNAIL_SIZES", "FILE_THUMBNAIL_SIZES"];
    let thumbnail_sizes = match environment.list(&sizes) {
        None => vec![100, 400, 1200],
        Some(list) => {
            let sizes: Result<Vec<u32>, _> = list.iter().map(|size| size.parse()).collect();
            let legal =
                sizes.ok().filter(|sizes| sizes.iter().all(|size| (1..=4096).contains(size)) && sizes.len() <= 16);
            legal.ok_or_else(|| {
                let message = format!("`{}` must list at most 16 sizes from 1 to 4096, with commas", sizes_name());
                ConfigurationError::new(message)
            })?
        }
    };
    let quality = |name: &str, default| {
        let quality = number(environment, &[name], default, 1)?;
        if quality <= 100 { Ok(quality) } else { Err(ConfigurationError::new(format!("`{name}` must be 1 to 100"))) }
    };
    Ok(ImageDefaults {
        max_width: number(environment, &["FILE_PROCESSING_IMAGE_MAX_WIDTH"], 2048, 1)?,
        max_height: number(environment, &["FILE_PROCESSING_IMAGE_MAX_HEIGHT"], 2048, 1)?,
        quality: quality("FILE_PROCESSING_IMAGE_QUALITY", 85)?,
        thumbnail_size: number(environment, &["FILE_PROCESSING_THUMBNAIL_SIZE"], 200, 1)?,
        thumbnail_quality: quality("FILE_PROCESSING_THUMBNAIL_QUALITY", 80)?,
        thumbnail_sizes,
    })
}

fn sizes_name() -> &'static str {
    "FILE_PROCESSING_THUMBNAIL_SIZES"
}

/// S3 is on once a bucket is named; then all of it must be there.
fn bucket(environment: &Environment) -> Result<Option<Bucket>, ConfigurationError> {
    let names = |suffix: &str| [format!("FILE_PROCESSING_S3_{suffix}"), format!("FILE_STORAGE_{suffix}")];
    let text = |suffix: &str| {
        let [own, other] = names(suffix);
        environment.text(&[&own, &other])
    };
    let secret = |suffix: &str| {
        let [own, other] = names(suffix);
        environment.secret(&[&own, &other])
    };
    let provider = environment.text(&["FILE_STORAGE_PROVIDER"]);
    if let Some(provider) =
        provider.filter(|provider| !matches!(provider.as_str(), "local" | "minio" | "s3" | "r2" | "b2"))
    {
        let message = format!("`FILE_STORAGE_PROVIDER` is `{provider}`; known are local, minio, s3, r2, b2");
        return Err(ConfigurationError::new(message));
    }
    let endpoint = text("ENDPOINT");
    let Some(name) = text("BUCKET") else {
        if endpoint.is_some() {
            let message = "`FILE_PROCESSING_S3_ENDPOINT` is set, but no bucket: set `FILE_PROCESSING_S3_BUCKET`";
            return Err(ConfigurationError::new(message));
        }
        return Ok(None);
    };
    if let Some(endpoint) = &endpoint {
        http_url("FILE_PROCESSING_S3_ENDPOINT", endpoint)?;
    }
    let (Some(access_key), Some(secret_key)) = (secret("ACCESS_KEY")?, secret("SECRET_KEY")?) else {
        let message = "a bucket is set, but no credentials: set `FILE_PROCESSING_S3_ACCESS_KEY` and \
             `FILE_PROCESSING_S3_SECRET_KEY`";
        return Err(ConfigurationError::new(message));
    };
    let region = text("REGION").unwrap_or_else(|| "us-east-1".to_owned());
    Ok(Some(Bucket { endpoint, name, region, access_key, secret_key }))
}

fn public_url(environment: &Environment) -> Result<Option<String>, ConfigurationError> {
    let names = ["FILE_PROCESSING_PUBLIC_URL", "FILE_STORAGE_PUBLIC_URL"];
    let Some(text) = environment.text(&names) else { return Ok(None) };
    http_url(names[0], &text)?;
    Ok(Some(text.trim_end_matches('/').to_owned()))
}

fn webhook_url(environment: &Environment) -> Result<Option<String>, ConfigurationError> {
    let name = "FILE_PROCESSING_WEBHOOK_URL";
    let text = environment.text(&[name]);
    text.as_deref().map_or(Ok(()), |text| http_url(name, text))?;
    Ok(text)
}

fn http_url(name: &str, text: &str) -> Result<(), ConfigurationError> {
    let is_http = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if is_http { Ok(()) } else { Err(ConfigurationError::new(format!("`{name}` is not an http or https address"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigurationError> {
        Config::read(&Environment::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn nothing_must_be_set_and_the_limit_is_fifty_mebibytes() {
        let config = read(&[]).expect("defaults are legal");
        assert_eq!(config.uploads.file_bytes, 52_428_800);
        assert_eq!(config.images.thumbnail_sizes, [100, 400, 1200]);
        assert!(config.bucket.is_none());
    }

    #[test]
    fn half_a_bucket_is_refused_and_names_what_is_missing() {
        let error = |pairs: &[(&str, &str)]| read(pairs).expect_err("an error").to_string();
        assert!(error(&[("FILE_PROCESSING_S3_ENDPOINT", "http://s3")]).contains("FILE_PROCESSING_S3_BUCKET"));
        assert!(error(&[("FILE_PROCESSING_S3_BUCKET", "b")]).contains("FILE_PROCESSING_S3_SECRET_KEY"));
        let all = [("FILE_STORAGE_BUCKET", "b"), ("FILE_STORAGE_ACCESS_KEY", "a"), ("FILE_STORAGE_SECRET_KEY", "s")];
        assert!(read(&all).expect("legal").bucket.is_some());
        assert!(error(&[("FILE_STORAGE_PROVIDER", "azure")]).contains("azure"));
    }

    #[test]
    fn values_that_cannot_work_name_their_variable() {
        for (name, value) in [
            ("FILE_PROCESSING_CONCURRENCY", "0"),
            ("FILE_PROCESSING_IMAGE_QUALITY", "101"),
            ("FILE_PROCESSING_THUMBNAIL_SIZES", "100,huge"),
            ("FILE_PROCESSING_PUBLIC_URL", "ftp://files"),
            ("FILE_PROCESSING_WEBHOOK_URL", "not an address"),
        ] {
            assert!(read(&[(name, value)]).expect_err(name).to_string().contains(name));
        }
    }
}
