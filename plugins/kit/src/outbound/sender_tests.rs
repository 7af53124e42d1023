//! A dead endpoint beside a living one, retries, dead letters, the stop.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;

/// Deliveries in memory.
#[derive(Default)]
struct Memory {
    due: Mutex<Vec<Delivery>>,
    settled: Mutex<Vec<(String, Outcome)>>,
}

impl Memory {
    fn of(deliveries: impl IntoIterator<Item = Delivery>) -> Arc<Self> {
        Arc::new(Self { due: Mutex::new(deliveries.into_iter().collect()), settled: Mutex::default() })
    }

    fn settled(&self, id: &str) -> Option<Outcome> {
        self.settled.lock().expect("a lock").iter().find(|(one, _)| one == id).map(|(_, outcome)| outcome.clone())
    }

    async fn until_settled(&self, id: &str) -> Outcome {
        loop {
            if let Some(outcome) = self.settled(id) {
                return outcome;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Outbox for Memory {
    async fn claim(&self, busy: &[String], a_lane: usize, most: usize) -> Result<Vec<Delivery>, String> {
        let mut due = self.due.lock().expect("a lock");
        let (mut claimed, mut left) = (Vec::<Delivery>::new(), Vec::new());
        for delivery in due.drain(..) {
            let of_lane = claimed.iter().filter(|one| one.endpoint == delivery.endpoint).count();
            let fits = claimed.len() < most && of_lane < a_lane && !busy.contains(&delivery.endpoint);
            if fits { claimed.push(delivery) } else { left.push(delivery) }
        }
        *due = left;
        Ok(claimed)
    }

    async fn settle(&self, delivery: &Delivery, outcome: Outcome) -> Result<(), String> {
        self.settled.lock().expect("a lock").push((delivery.id.clone(), outcome));
        Ok(())
    }
}

fn delivery(id: &str, url: &str, failures: u32) -> Delivery {
    let (event, body) = ("sample.done".to_owned(), "{}".to_owned());
    Delivery { id: id.to_owned(), endpoint: url.to_owned(), url: url.to_owned(), event, body, secret: None, failures }
}

/// An endpoint: answers with this status, or takes connections and never answers. Counts connections.
async fn endpoint(status: Option<u16>) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let Some(status) = status else {
                open.push(stream);
                continue;
            };
            let _ = stream.read(&mut [0_u8; 4096]).await;
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, count)
}

fn sender() -> Arc<Sender> {
    Sender::new(Client::trusted("tests").expect("a client"), Duration::from_millis(20))
}

#[tokio::test]
async fn a_dead_endpoint_delays_no_other() {
    let (dead, dead_count) = endpoint(None).await;
    let (alive, _) = endpoint(Some(200)).await;
    let first = (0..24).map(|number| delivery(&format!("dead-{number}"), &dead, 0));
    let outbox = Memory::of(first.chain([delivery("alive", &alive, 0)]));
    tokio::spawn(sender().run(outbox.clone(), std::future::pending()));
    assert_eq!(outbox.until_settled("alive").await, Outcome::Delivered);
    // The attempts to the dead one are still waiting for their first answer, and no more than its lane takes.
    assert_eq!(outbox.settled("dead-0"), None);
    assert!(dead_count.load(Ordering::SeqCst) <= 4);
}

#[tokio::test]
async fn a_failed_attempt_is_retried_later_and_in_the_end_a_dead_letter() {
    let (failing, _) = endpoint(Some(500)).await;
    let last = u32::try_from(PAUSES.len()).expect("a small number");
    let outbox = Memory::of([delivery("first", &failing, 0), delivery("last", &failing, last)]);
    tokio::spawn(sender().run(outbox.clone(), std::future::pending()));
    let Outcome::Retry { at, error } = outbox.until_settled("first").await else { panic!("no retry") };
    assert!(at > clock::now() && error.contains("500"), "{error}");
    assert!(matches!(outbox.until_settled("last").await, Outcome::Dead { disables: false, .. }));
}

#[tokio::test]
async fn an_endpoint_that_takes_nothing_is_switched_off() {
    let (failing, _) = endpoint(Some(410)).await;
    let last = u32::try_from(PAUSES.len()).expect("a small number");
    let outbox = Memory::of((0..5).map(|number| delivery(&number.to_string(), &failing, last)));
    tokio::spawn(sender().run(outbox.clone(), std::future::pending()));
    for number in 0..5 {
        outbox.until_settled(&number.to_string()).await;
    }
    let settled = outbox.settled.lock().expect("a lock");
    let disabling = settled.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Dead { disables: true, .. }));
    assert_eq!(disabling.count(), 1);
}

#[tokio::test]
async fn a_stop_waits_for_the_attempts_that_run() {
    let (alive, _) = endpoint(Some(204)).await;
    let outbox = Memory::of([delivery("one", &alive, 0)]);
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(sender().run(outbox.clone(), async {
        let _ = stopped.await;
    }));
    while !outbox.due.lock().expect("a lock").is_empty() {
        tokio::task::yield_now().await;
    }
    stop.send(()).expect("it waits for the stop");
    running.await.expect("it ends");
    assert_eq!(outbox.settled("one"), Some(Outcome::Delivered));
}
