//! Whether the warden lives, which alone makes cells: without it no job ever runs here again, and the service ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::service::Service;

/// How often to look.
const PAUSE: Duration = Duration::from_millis(500);

impl Service {
    /// Returns when the warden is gone.
    pub(crate) async fn loses_warden(self: &Arc<Service>) {
        while !self.has_lost_warden().await {
            sleep(PAUSE).await;
        }
    }

    /// Whether it is.
    pub(crate) async fn has_lost_warden(self: &Arc<Service>) -> bool {
        let service = Arc::clone(self);
        // It fails only where the runtime ends.
        spawn_blocking(move || service.engine.is_over()).await.unwrap_or(false)
    }
}
