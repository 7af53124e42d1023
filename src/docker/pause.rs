//! Pausing a container: for one that is given back as it was.

use super::{Docker, EngineError, accept};

impl Docker {
    /// Pauses a running container; one that is paused already is fine.
    pub async fn pause_container(&self, container: &str) -> Result<(), EngineError> {
        let paused = self.client.pause_container(container);
        accept(self.call(format!("pause the container `{container}`"), paused).await, &[304, 409]).map(drop)
    }
}
