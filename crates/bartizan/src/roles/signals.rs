//! Signals: hang-up reloads, interrupt and terminate end the process.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::system::System;

/// Listens until dropped.
pub struct Signals(JoinHandle<()>);

impl Signals {
    /// Starts listening.
    pub fn listen(system: &Arc<System>) -> std::io::Result<Self> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let system = system.clone();
        Ok(Self(tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = hangup.recv() => {
                        let system = system.clone();
                        // The outcome is logged where it is found out.
                        let _ = tokio::task::spawn_blocking(move || system.reload()).await;
                        continue;
                    }
                    _ = interrupt.recv() => "interrupt",
                    _ = terminate.recv() => "terminate",
                };
                tracing::warn!(signal = name, "received an OS signal, exiting gracefully");
                system.request_quit();
            }
        })))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.0.abort();
    }
}
