//! JSON log lines on standard output, one object a line; panics too.

use tracing_subscriber::filter::LevelFilter;

use crate::settings::{ConfigurationError, Environment};

/// Starts the log at `LOG_LEVEL`; an unknown level is an error, and the log starts at `info`.
pub(crate) fn start(environment: &Environment) -> Result<(), ConfigurationError> {
    let level = level(environment);
    let filter = level.as_ref().copied().unwrap_or(LevelFilter::INFO);
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_max_level(filter)
        .finish();
    // Fails only where a log runs already, as in tests that start a server twice.
    let _ = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked: {}", panic.payload_as_str().unwrap_or("unknown cause"));
    }));
    level.map(drop)
}

fn level(environment: &Environment) -> Result<LevelFilter, ConfigurationError> {
    let Some(value) = environment.text(&["LOG_LEVEL"]) else {
        return Ok(LevelFilter::INFO);
    };
    match value.to_ascii_lowercase().as_str() {
        "trace" => Ok(LevelFilter::TRACE),
        "debug" => Ok(LevelFilter::DEBUG),
        "info" => Ok(LevelFilter::INFO),
        "warn" | "warning" => Ok(LevelFilter::WARN),
        "error" => Ok(LevelFilter::ERROR),
        _ => Err(ConfigurationError::new(format!(
            "`LOG_LEVEL` is `{value}`, which is not one of trace, debug, info, warn, error"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_in_any_case_and_unknown_ones_refused() {
        let read = |value| level(&Environment::from_pairs([("LOG_LEVEL", value)]));
        assert_eq!(read("WARN"), Ok(LevelFilter::WARN));
        assert_eq!(read(""), Ok(LevelFilter::INFO));
        assert!(read("loud").unwrap_err().to_string().contains("`LOG_LEVEL` is `loud`"));
    }
}
