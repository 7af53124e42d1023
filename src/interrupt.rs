//! Ctrl-C, SIGTERM and SIGHUP: the first asks for an orderly undo, the second ends the program at once (what is left
//! is on record, and the next command cleans it).

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether the user wants to stop; cheap to clone.
#[derive(Debug, Clone)]
pub struct Interrupt {
    wanted: watch::Receiver<bool>,
}

impl Interrupt {
    /// Listens from now on.
    pub fn listen() -> std::io::Result<Self> {
        let (tell, wanted) = watch::channel(false);
        let mut signals =
            [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?];
        tokio::spawn(async move {
            loop {
                let [interrupt, terminate, hangup] = &mut signals;
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                if tell.send_replace(true) {
                    end_at_once();
                }
            }
        });
        Ok(Self { wanted })
    }

    /// Whether it was asked for.
    pub fn is_wanted(&self) -> bool {
        *self.wanted.borrow()
    }

    /// Returns when it is asked for.
    pub async fn wanted(&self) {
        let mut wanted = self.wanted.clone();
        if wanted.wait_for(|wanted| *wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a second interrupt must not wait for anything")]
fn end_at_once() {
    std::process::exit(130);
}
