//! What single values of a manifest may be: variable names, paths, sizes, names of images, volumes and capabilities.
//! Pure; each check answers with the rest of the sentence "`field` …".

use super::super::path::normalise;
use crate::name::{is_safe_to_show, shown};

/// Names that change how every program starts; a container must not get them from a manifest.
const FORBIDDEN_VARIABLES: &[&str] = &["PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"];
/// Parts of a name that make its value a secret.
const SECRET_WORDS: &[&str] = &[
    "SECRET",
    "SECRETS",
    "PASSWORD",
    "PASSWORDS",
    "PASSWD",
    "PASSPHRASE",
    "TOKEN",
    "TOKENS",
    "KEY",
    "KEYS",
    "APIKEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "DSN",
];
/// Words before `_URL` that name services whose addresses carry a user and a password.
const CREDENTIAL_SERVICES: &[&str] = &[
    "DATABASE",
    "DB",
    "POSTGRES",
    "POSTGRESQL",
    "PG",
    "MYSQL",
    "MONGO",
    "MONGODB",
    "REDIS",
    "AMQP",
    "RABBITMQ",
    "SMTP",
];
/// The longest health path, in bytes.
const LONGEST_HEALTH_PATH: usize = 1024;

type Checked<T> = Result<T, String>;

/// A variable's name.
pub(super) fn variable_name(name: &str) -> Checked<String> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if !starts_well || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') || name.len() > 255 {
        return Err(format!("is `{}`, which is no name of a variable: letters, digits and underscores", shown(name)));
    }
    if FORBIDDEN_VARIABLES.contains(&name) {
        return Err(format!("is `{name}`, which would change how programs start"));
    }
    Ok(name.to_owned())
}

/// Whether a variable with such a name holds a secret, unless the manifest says otherwise.
pub(super) fn is_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let words: Vec<&str> = upper.split('_').collect();
    let is_address = words.len() > 1
        && matches!(words.last(), Some(&("URL" | "URI" | "URLS")))
        && CREDENTIAL_SERVICES.contains(&words[words.len() - 2]);
    is_address || words.iter().any(|word| SECRET_WORDS.contains(word))
}

/// The path of a health request on the plugin's own address.
pub(super) fn health_path(path: &str) -> Checked<String> {
    let problem = if !path.starts_with('/') || path.starts_with("//") {
        "must start with exactly one `/`: it is a path on the plugin's own address"
    } else if path.len() > LONGEST_HEALTH_PATH {
        "is longer than 1,024 bytes"
    } else if !path.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'\\') {
        "has a space, a control character, a backslash or a character that is not ASCII"
    } else {
        return Ok(path.to_owned());
    };
    Err(problem.to_owned())
}

/// An absolute path in a container, without ways up.
pub(super) fn container_path(path: &str) -> Checked<String> {
    let inner = path.strip_prefix('/').filter(|inner| !inner.is_empty());
    let Some(inner) = inner else {
        return Err(format!("is `{}`, but must be an absolute path below `/`", shown(path)));
    };
    // A colon or comma would be read as the end of the path by the engine's mount syntax.
    if inner.contains([':', ',']) {
        return Err(format!("is `{}`: a path with `:` or `,` cannot be mounted", shown(path)));
    }
    normalise(inner.as_bytes()).map_err(|objection| format!("is `{}`, which {objection}", shown(path)))?;
    Ok(path.to_owned())
}

/// A file of the package, relative to its folder.
pub(super) fn package_file(path: &str) -> Checked<String> {
    match normalise(path.as_bytes()) {
        Ok(normal) if !normal.is_empty() => Ok(normal),
        Ok(_) => Err(format!("is `{}`, which is no file", shown(path))),
        Err(objection) => Err(format!("is `{}`, which {objection}; a file of the package is meant", shown(path))),
    }
}

/// A volume's name.
pub(super) fn volume_name(name: &str) -> Checked<String> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    let starts_well = name.bytes().next().is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit());
    if starts_well && name.bytes().all(legal) && name.len() <= 64 {
        return Ok(name.to_owned());
    }
    Err(format!("is `{}`, but must be lower-case letters, digits, hyphens and underscores", shown(name)))
}

/// The name of an image as an engine takes it.
pub(super) fn image(reference: &str) -> Checked<String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    let starts_well = reference.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if starts_well && reference.bytes().all(legal) && reference.len() <= 512 {
        return Ok(reference.to_owned());
    }
    Err(format!("is `{}`, which is no name of an image", shown(reference)))
}

/// A user as `uid[:gid]` or `name[:group]`.
pub(super) fn user(text: &str) -> Checked<String> {
    let legal = |part: &str| {
        !part.is_empty()
            && part.len() <= 64
            && !part.starts_with('-')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    };
    let mut parts = text.split(':');
    let fits = parts.next().is_some_and(legal) && parts.next().is_none_or(legal) && parts.next().is_none();
    if fits { Ok(text.to_owned()) } else { Err(format!("is `{}`, which is no user", shown(text))) }
}

/// A Linux capability; `CAP_` before it is dropped.
pub(super) fn capability(name: &str) -> Checked<String> {
    let bare = name.strip_prefix("CAP_").unwrap_or(name);
    let starts_well = bare.bytes().next().is_some_and(|first| first.is_ascii_uppercase());
    if starts_well && bare.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_') {
        return Ok(bare.to_owned());
    }
    Err(format!("has `{}`, which is no capability", shown(name)))
}

/// `host:container` with `:ro` or `:rw`, both absolute.
pub(super) fn host_mount(text: &str) -> Checked<String> {
    let parts: Vec<&str> = text.split(':').collect();
    let ([host, container] | [host, container, "ro" | "rw"]) = parts.as_slice() else {
        return Err(format!("has `{}`, but must be HOST:CONTAINER or HOST:CONTAINER:ro", shown(text)));
    };
    if *host != "/" {
        container_path(host)?;
    }
    container_path(container)?;
    Ok(text.to_owned())
}

/// A host name as people open it.
pub(super) fn hostname(text: &str) -> Checked<String> {
    let legal = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if text.len() <= 253 && text.split('.').all(legal) {
        return Ok(text.to_owned());
    }
    Err(format!("is `{}`, which is no host name", shown(text)))
}

/// Bytes from `268435456`, `256m`, `256MB`, `0.5g` or `512MiB`; the letters count in powers of 1,024, as in Docker.
pub(super) fn memory(text: &str) -> Checked<u64> {
    let refused = || format!("is `{}`, but must be a size such as 256m or 0.5g", shown(text));
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(lower.len());
    let (digits, unit) = lower.split_at(end);
    let shift = match unit.trim_start() {
        "" | "b" => 0,
        "k" | "kb" | "ki" | "kib" => 10,
        "m" | "mb" | "mi" | "mib" => 20,
        "g" | "gb" | "gi" | "gib" => 30,
        _ => return Err(refused()),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty()
        || whole.len() > 15
        || part.len() > 6
        || part.contains('.')
        || (shift == 0 && digits.contains('.'))
    {
        return Err(refused());
    }
    let scale = 10_u64.pow(u32::try_from(part.len()).map_err(|_| refused())?);
    let number: u128 = format!("{whole}{part}").parse().map_err(|_| refused())?;
    let bytes = u64::try_from((number << shift) / u128::from(scale)).map_err(|_| refused())?;
    bytes_in_range(bytes).ok_or_else(refused)
}

/// Docker's own lowest limit is 6 MiB; 16 TiB is above any machine.
pub(super) fn bytes_in_range(bytes: u64) -> Option<u64> {
    (6 << 20..=16 << 40).contains(&bytes).then_some(bytes)
}

/// A word that is shown or used as a name: not empty, short, printable.
pub(super) fn word(text: &str) -> Checked<String> {
    if text.is_empty() || text.len() > 256 || !text.chars().all(is_safe_to_show) {
        return Err(format!("is `{}`, but must be a short printable word", shown(text)));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_every_spelling() {
        for (text, bytes) in [
            ("256m", 256 << 20),
            ("256M", 256 << 20),
            ("256MB", 256 << 20),
            ("0.5g", 512 << 20),
            ("512MiB", 512 << 20),
            ("1Gi", 1 << 30),
            ("268435456", 1 << 28),
            ("8192k", 8 << 20),
        ] {
            assert_eq!(memory(text), Ok(bytes), "{text}");
        }
        for bad in ["", "m", "-1m", "1t2", "1.5", "1.2.3g", "5m", "99999999999999999999g", "1e9", "0x10m", "1 000m"] {
            assert!(memory(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_known_by_parts_of_their_names() {
        for secret in [
            "REALTIME_JWT_SECRET",
            "SMTP_PASSWORD",
            "GITHUB_TOKEN",
            "STRIPE_API_KEYS",
            "DATABASE_URL",
            "REALTIME_REDIS_URL",
            "X_DATABASE_URI",
            "SENTRY_DSN",
            "aws_secret_access_key",
        ] {
            assert!(is_secret_name(secret), "{secret}");
        }
        for plain in
            ["MONKEY_COUNT", "KEYBOARD", "REALTIME_PORT", "TORRENT_MANAGER_URL", "URL", "PUBLIC_URL", "TOKENIZER"]
        {
            assert!(!is_secret_name(plain), "{plain}");
        }
    }

    #[test]
    fn health_paths_stay_on_the_plugins_own_address() {
        for good in ["/", "/health", "/api/health?deep=1"] {
            assert!(health_path(good).is_ok(), "{good}");
        }
        let long = format!("/{}", "a".repeat(1024));
        for bad in
            ["", "health", "//evil.example/x", "http://evil.example/", "/a\r\nHost: x", "/a b", "/\\evil", "/ä", &long]
        {
            assert!(health_path(bad).is_err(), "{bad}");
        }
    }
}
