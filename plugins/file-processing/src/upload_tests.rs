use super::*;
use axum::body::Body;
use futures_util::stream;

const HEAD: &str = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\
    content-type: image/png\r\n\r\n";

const IDLE: Duration = Duration::from_secs(1);

fn intake(folder: &Path, file_bytes: u64) -> Intake {
    let bounds = Bounds {
        file_bytes,
        request_bytes: file_bytes * 3,
        space_bytes: file_bytes * 10,
        idle: IDLE,
        whole: IDLE * 2,
        least_rate: 50,
    };
    Intake::new(folder.join("incoming"), bounds).expect("a folder")
}

fn request() -> axum::http::request::Builder {
    Request::builder().method("POST").header(CONTENT_TYPE, "multipart/form-data; boundary=b")
}

fn form_of(bytes: usize) -> Body {
    Body::from(format!("{HEAD}{}\r\n--b--\r\n", "x".repeat(bytes)))
}

fn left_over(intake: &Intake) -> usize {
    std::fs::read_dir(intake.folder()).expect("the folder").count()
}

fn pieces(count: usize, pause: Duration) -> Body {
    let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(HEAD.as_bytes()))]);
    let rest = stream::iter(0..count).then(move |_| async move {
        tokio::time::sleep(pause).await;
        Ok(Bytes::from_static(b"x"))
    });
    let end = stream::iter([Ok(Bytes::from_static(b"\r\n--b--\r\n"))]);
    Body::from_stream(first.chain(rest).chain(end))
}

async fn receive(intake: &Intake, body: Body) -> Result<Form, Problem> {
    let request = request().body(body).expect("a request");
    intake.receive_one(request).await
}

#[tokio::test]
async fn a_file_of_the_limit_is_taken_and_one_byte_more_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let intake = intake(folder.path(), 1000);
    let mut form = receive(&intake, form_of(1000)).await.expect("taken");
    let upload = form.one_file().expect("a file");
    assert_eq!((upload.size, upload.name.as_deref(), upload.kind), (1000, Some("a.png"), Kind::Text));
    drop(upload);
    let refused = receive(&intake, form_of(1001)).await;
    assert!(matches!(refused, Err(Problem::TooLarge(Some(1001), 1000))), "{refused:?}");
    assert_eq!(left_over(&intake), 0);
}

#[tokio::test]
async fn an_announced_size_beyond_the_limit_is_refused_unread() {
    let folder = tempfile::tempdir().expect("a folder");
    let intake = intake(folder.path(), 1000);
    let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let request = request().header(CONTENT_LENGTH, "104857600").body(never).expect("a request");
    let refused = intake.receive_one(request).await;
    assert!(matches!(refused, Err(Problem::TooLarge(Some(104_857_600), 1000))), "{refused:?}");
}

#[tokio::test]
async fn uploads_that_stand_still_or_break_off_leave_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let intake = intake(folder.path(), 1000);
    let begin = || stream::iter([Ok::<_, std::io::Error>(Bytes::from(format!("{HEAD}abc")))]);
    let slow = receive(&intake, Body::from_stream(begin().chain(stream::pending()))).await;
    assert!(matches!(slow, Err(Problem::Slow)), "{slow:?}");
    let cut = receive(&intake, Body::from_stream(begin())).await;
    assert!(matches!(cut, Err(Problem::Invalid(_))), "{cut:?}");
    assert_eq!(left_over(&intake), 0);
}

#[tokio::test]
async fn an_upload_that_trickles_is_ended_and_one_that_pauses_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let intake = intake(folder.path(), 100_000);
    let trickle = receive(&intake, pieces(1000, IDLE / 2)).await;
    assert!(matches!(trickle, Err(Problem::Slow)), "{trickle:?}");
    let pause = receive(&intake, pieces(1, IDLE / 2)).await;
    assert!(pause.is_ok(), "{pause:?}");
    drop(pause);
    // Fast enough at any time, and too long as a whole.
    let long = Body::from_stream(stream::unfold(false, |begun| async move {
        tokio::time::sleep(IDLE / 10).await;
        let piece = if begun { Bytes::from_static(&[b'x'; 100]) } else { Bytes::from_static(HEAD.as_bytes()) };
        Some((Ok::<_, std::io::Error>(piece), true))
    }));
    let long = receive(&intake, long).await;
    assert!(matches!(long, Err(Problem::Slow)), "{long:?}");
    assert_eq!(left_over(&intake), 0);
}

#[tokio::test]
async fn uploads_share_a_bounded_space() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut intake = intake(folder.path(), 1000);
    intake.bounds.space_bytes = 1500;
    let first = receive(&intake, form_of(1000)).await.expect("taken");
    let second = receive(&intake, form_of(1000)).await;
    assert!(matches!(second, Err(Problem::Full(_))), "{second:?}");
    drop(first);
    assert!(receive(&intake, form_of(1000)).await.is_ok());
    assert_eq!(intake.used.load(Ordering::Acquire), 0);
}

#[tokio::test]
async fn what_an_earlier_process_left_is_removed_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = intake(folder.path(), 1);
    std::fs::write(first.folder().join("left"), "x").expect("written");
    assert_eq!(left_over(&intake(folder.path(), 1)), 0);
}
