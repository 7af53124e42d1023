//! A deadline for a request's body as a whole: it may be slow, but not for ever, however its bytes are spread.

use std::error::Error;
use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// What every body gets, and one second more for each of so many bytes.
const GRACE: Duration = Duration::from_secs(15);
const BYTES_A_SECOND: u64 = 4096;
/// No body takes longer.
const LONGEST: Duration = Duration::from_mins(15);

/// The error of a body that is cut for its slowness.
#[derive(Debug)]
struct TooSlow;

impl Display for TooSlow {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the request body was sent too slowly")
    }
}

impl Error for TooSlow {}

/// Whether an error of reading a body comes from its slowness.
pub fn is_too_slow(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<TooSlow>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The request with a body that ends in an error at its deadline.
pub(crate) async fn timed(request: Request) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    request.map(|body| Body::new(Timed { body, began: Instant::now(), received: 0, timer: None }))
}

struct Timed {
    body: Body,
    began: Instant,
    received: u64,
    /// Runs only while bytes are waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    fn deadline(&self) -> Instant {
        let time = GRACE + Duration::from_secs(self.received / BYTES_A_SECOND);
        self.began + time.min(LONGEST)
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(polled) = Pin::new(&mut this.body).poll_frame(context) {
            if let Some(Ok(frame)) = &polled {
                this.received += frame.data_ref().map_or(0, |data| data.len() as u64);
                if Instant::now() > this.deadline() {
                    return Poll::Ready(Some(Err(axum::Error::new(TooSlow))));
                }
            }
            return Poll::Ready(polled);
        }
        let deadline = this.deadline();
        let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(axum::Error::new(TooSlow)))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    /// A body of what is sent into the channel.
    struct Fed(mpsc::Receiver<Bytes>);

    impl HttpBody for Fed {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
        }
    }

    /// Sends so many pieces of so many bytes with a pause before each; how many bytes arrive, and in what time.
    async fn feed(pieces: usize, bytes: usize, pause: Duration) -> (Result<usize, axum::Error>, Duration) {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            for _ in 0..pieces {
                tokio::time::sleep(pause).await;
                if sender.send(Bytes::from(vec![b'x'; bytes])).await.is_err() {
                    return;
                }
            }
        });
        let began = Instant::now();
        let request = timed(Request::new(Body::new(Fed(receiver)))).await;
        let read = axum::body::to_bytes(request.into_body(), usize::MAX).await;
        (read.map(|bytes| bytes.len()), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_of_drops_is_cut() {
        let (read, took) = feed(100, 1, Duration::from_secs(5)).await;
        assert!(is_too_slow(&read.expect_err("too slow")));
        assert!(took <= GRACE + Duration::from_secs(1), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_of_a_fair_rate_is_read_to_its_end() {
        let (read, took) = feed(60, 8192, Duration::from_secs(1)).await;
        assert_eq!(read.expect("in time"), 60 * 8192);
        assert!(took > GRACE, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_body_takes_longer_than_the_longest() {
        let (read, took) = feed(10_000, 8192, Duration::from_secs(1)).await;
        assert!(is_too_slow(&read.expect_err("too slow")));
        assert!(took <= LONGEST + Duration::from_secs(1), "{took:?}");
    }
}
