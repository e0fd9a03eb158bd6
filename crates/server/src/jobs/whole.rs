//! What is done to its end once it has begun.

use crate::answer::Refusing;

/// Does all of it, also when whoever waits for it leaves meanwhile: the future of a request is dropped with its connection.
pub(super) async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusing>> + Send + 'static,
) -> Result<T, Refusing> {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) => Err(Refusing::fault("what was begun for a request did not come to its end", &error)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn who_leaves_takes_nothing_along() {
        let (committed, commit) = oneshot::channel::<()>();
        let (called, call) = oneshot::channel();
        let work = whole(async move {
            let _ = commit.await;
            let _ = called.send(());
            Ok(())
        });
        assert!(timeout(Duration::from_millis(10), work).await.is_err(), "it waits");
        committed.send(()).unwrap();
        call.await.unwrap();
    }

    #[tokio::test]
    async fn what_panics_is_told() {
        assert!(whole::<()>(async { panic!("as it should") }).await.is_err());
    }
}
