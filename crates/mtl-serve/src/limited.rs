//! A socket that waits only so long for its peer to take an answer.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Fails with [`ErrorKind::TimedOut`] where what is written does not get away in time: from the first
/// write that finds no room to the flush after the last. A peer that takes a byte now and then has no
/// more time than one that takes none.
pub(crate) struct Limited<S> {
    stream: S,
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Limited<S> {
    pub(crate) const fn new(stream: S, limit: Duration) -> Self {
        Self { stream, limit, waiting: None }
    }

    fn in_time(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<Result<usize>>,
    ) -> Poll<Result<usize>> {
        if written.is_ready() {
            return written;
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        waiting.as_mut().poll(cx).map(|()| Err(Error::from(ErrorKind::TimedOut)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // Asked for when nothing is left to write.
        self.waiting = None;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::ready;

    use tokio::runtime::Builder;

    use super::*;

    /// Takes a byte every ten milliseconds.
    struct Slow(Pin<Box<Sleep>>);

    fn pause() -> Pin<Box<Sleep>> {
        Box::pin(sleep(Duration::from_millis(10)))
    }

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<Result<usize>> {
            ready!(self.0.as_mut().poll(cx));
            self.0 = pause();
            Poll::Ready(Ok(bytes.len().min(1)))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn write(to: &mut Limited<Slow>, n_bytes: usize) -> Result<()> {
        let bytes = vec![0; n_bytes];
        let mut done = 0;
        while done < n_bytes {
            let rest = &bytes[done..];
            done += poll_fn(|cx| Pin::new(&mut *to).poll_write(cx, rest)).await?;
        }
        Ok(())
    }

    #[test]
    fn a_peer_that_takes_a_little_now_and_then_has_no_more_time() {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let mut stream = Limited::new(Slow(pause()), Duration::from_secs(1));
            assert!(write(&mut stream, 3).await.is_ok() && stream.waiting.is_some());
            // The next answer has its own time.
            let flushed = poll_fn(|cx| Pin::new(&mut stream).poll_flush(cx)).await;
            assert!(flushed.is_ok() && stream.waiting.is_none());
            let kind = write(&mut stream, 10_000).await.map_err(|error| error.kind());
            assert_eq!(kind, Err(ErrorKind::TimedOut));
        });
    }
}
