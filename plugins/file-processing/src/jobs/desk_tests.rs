use super::*;

fn open(folder: &std::path::Path) -> Desk {
    let journal = Journal::open(&folder.join("jobs.redb")).expect("a journal");
    Desk::open(journal, 3, IntGauge::new("waiting", "Waiting.").expect("a name")).expect("jobs")
}

fn job(id: &str, priority: u64) -> Job {
    Job { priority, ..Job::new(id.to_owned(), format!("file-{id}"), 1) }
}

async fn begin(desk: &Desk) -> Option<String> {
    desk.begin_next(|_| false).await.expect("written").map(|job| job.id)
}

#[tokio::test]
async fn jobs_go_by_priority_then_arrival_and_a_full_queue_refuses() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = open(folder.path());
    for (id, priority) in [("z", 5), ("a", 5), ("m", 1)] {
        desk.accept(job(id, priority)).await.expect("accepted");
    }
    let full = desk.accept(job("x", 1)).await;
    assert!(matches!(full, Err(Problem::Busy(3, 3))), "{full:?}");
    let mut order = Vec::new();
    while let Some(id) = begin(&desk).await {
        order.push(id);
    }
    assert_eq!(order, ["m", "z", "a"]);
}

#[tokio::test]
async fn a_job_under_way_is_begun_again_after_a_kill_but_not_for_ever() {
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path()).accept(job("a", 5)).await.expect("accepted");
    for _ in 0..MOST_ATTEMPTS {
        // Dropped without an end, as a killed process leaves it.
        assert_eq!(begin(&open(folder.path())).await.as_deref(), Some("a"));
    }
    let desk = open(folder.path());
    assert_eq!(desk.get("a").map(|job| job.state), Some(State::Failed));
    assert_eq!(begin(&desk).await, None);
}

#[tokio::test]
async fn a_job_of_a_known_id_is_accepted_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = open(folder.path());
    let (first, second) = tokio::join!(desk.accept_once(job("a", 5)), desk.accept_once(job("a", 5)));
    assert_eq!([first.expect("written").1, second.expect("written").1], [false, true]);
    drop(desk);
    assert!(open(folder.path()).accept_once(job("a", 5)).await.expect("known").1);
}

#[tokio::test]
async fn orderly_stops_count_no_attempt() {
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path()).accept(job("a", 5)).await.expect("accepted");
    for _ in 0..MOST_ATTEMPTS * 2 {
        let desk = open(folder.path());
        assert_eq!(begin(&desk).await.as_deref(), Some("a"));
        assert_eq!(desk.put_back_all().await.expect("written"), 1);
    }
    let job = open(folder.path()).get("a").expect("a job");
    assert_eq!((job.state, job.attempts), (State::Pending, 0));
}

#[tokio::test]
async fn counts_follow_every_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = open(folder.path());
    for id in ["a", "b", "c"] {
        desk.accept(job(id, 5)).await.expect("accepted");
    }
    begin(&desk).await;
    desk.cancel("b").await.expect("cancelled");
    let counts = |desk: &Desk| (desk.counts().pending, desk.counts().processing, desk.counts().cancelled);
    assert_eq!(counts(&desk), (1, 1, 1));
    desk.forget_before(u64::MAX).await.expect("written");
    assert_eq!(counts(&desk), (1, 1, 0));
    assert!(desk.latest_of("file-b").is_none());
    assert_eq!(desk.latest_of("file-c").map(|job| job.id).as_deref(), Some("c"));
}

#[tokio::test]
async fn a_job_is_cancelled_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = open(folder.path());
    desk.accept(job("a", 5)).await.expect("accepted");
    assert_eq!(desk.cancel("a").await.expect("cancelled").state, State::Cancelled);
    assert!(matches!(desk.cancel("a").await, Err(Problem::Conflict(_))));
    assert!(matches!(desk.cancel("b").await, Err(Problem::Missing(_))));
    assert_eq!(begin(&desk).await, None);
}

#[tokio::test]
async fn ended_jobs_are_forgotten_and_open_ones_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = open(folder.path());
    for id in ["a", "b"] {
        desk.accept(job(id, 5)).await.expect("accepted");
    }
    desk.cancel("a").await.expect("cancelled");
    assert_eq!(desk.forget_before(u64::MAX).await.expect("written"), 1);
    drop(desk);
    let desk = open(folder.path());
    assert!(desk.get("a").is_none() && desk.get("b").is_some());
}
