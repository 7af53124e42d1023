//! What sockets send, and what they are answered.
//!
//! One handler takes every event, in the order of arrival, and passes it on by name: a failure is
//! answered in one way, limits and metrics have one place, and an idle socket costs one closure.

mod call;
pub(crate) mod connection;
pub(crate) mod history;
pub(crate) mod messages;
pub(crate) mod presence;
mod relay;
mod remote;
pub(crate) mod rooms;
pub(crate) mod typing;
mod vocabulary;

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

use kit::Fields;
use serde_json::{Value, json};
use socketioxide::extract::{Event, TryData};
use socketioxide::handler::ConnectHandler;

use crate::access::Question;
use crate::adapter::{AckSender, SocketIo, SocketRef};
use crate::hub::Moment;
use crate::state::App;
use call::{Answer, Call, Refused, Reply, Session, Waiting};

pub(crate) use call::room_field;

/// The most events of one socket that wait for an answer about access.
const MOST_WAITING: usize = 100;

/// Lets sockets in and handles what they send.
pub(crate) fn attach(io: &SocketIo, app: &Arc<App>) {
    let (gatekeeper, host) = (app.clone(), app.clone());
    let admit = async move |socket: SocketRef, TryData(auth): TryData<Value>| {
        let session = connection::admit(&gatekeeper, &socket, &auth.unwrap_or_default()).await?;
        listen(&socket, session);
        Ok::<_, connection::NotAdmitted>(())
    };
    let welcome = move |socket: SocketRef| {
        connection::welcome(&host, &socket);
        std::future::ready(())
    };
    io.ns("/", welcome.with(admit));
}

/// Takes the events of one socket.
pub(crate) fn listen(socket: &SocketRef, session: Arc<Session>) {
    socket.on_fallback(
        move |socket: SocketRef, Event(event): Event, TryData(payload): TryData<Value>, ack: AckSender| {
            // Before the future, not in it: futures of one socket run in any order.
            connection::begin(&session, &socket);
            handle(&session, &socket, &event, payload.unwrap_or_default(), ack);
            std::future::ready(())
        },
    );
}

/// Handles an event, or lets it wait behind one that waits.
fn handle(session: &Arc<Session>, socket: &SocketRef, event: &str, payload: Value, ack: AckSender) {
    let mut waiting = waiting(session);
    if let Some(queue) = waiting.as_mut() {
        if queue.len() < MOST_WAITING {
            queue.push_back(Waiting { event: event.to_owned(), payload, ack });
            return;
        }
        drop(waiting);
        let refused = Refused::new("RATE_LIMITED", "too many events wait for an answer about access");
        let call = Call { session, socket, now: Moment::now() };
        acknowledge(ack, event, &refusal(&call, &refused));
        return;
    }
    drop(waiting);
    let first = Waiting { event: event.to_owned(), payload, ack };
    if let Err(refused) = attempt(session, socket, first) {
        let (question, first) = *refused;
        *self::waiting(session) = Some(VecDeque::from([first]));
        tokio::spawn(go_on(session.clone(), socket.clone(), question));
    }
}

fn waiting(session: &Session) -> MutexGuard<'_, Option<VecDeque<Waiting>>> {
    // Only whole values are put in.
    session.waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks, then handles what waits in its order, asking again where that is needed.
async fn go_on(session: Arc<Session>, socket: SocketRef, mut question: Question) {
    loop {
        // The answer is found by the next attempt.
        let _ = session.app.access.ask(question).await;
        question = loop {
            let next = {
                let mut waiting = waiting(&session);
                let Some(next) = waiting.as_mut().and_then(VecDeque::pop_front) else {
                    *waiting = None;
                    return;
                };
                next
            };
            if let Err(refused) = attempt(&session, &socket, next) {
                let (question, next) = *refused;
                if let Some(queue) = waiting(&session).as_mut() {
                    queue.push_front(next);
                }
                break question;
            }
        };
    }
}

/// Handles an event, or gives it back with what must be asked first.
fn attempt(session: &Arc<Session>, socket: &SocketRef, waiting: Waiting) -> Result<(), Box<(Question, Waiting)>> {
    let Waiting { event, payload, ack } = waiting;
    let began = Instant::now();
    let call = Call { session, socket, now: Moment::now() };
    session.spoken.learn(socket, &event);
    let kept = session.app.access.has_judge().then(|| payload.clone());
    let answer = catch_unwind(AssertUnwindSafe(|| route(&call, &event, payload)));
    // A panic that went further would end the socket's task and leave the socket in its rooms.
    let answer = answer.unwrap_or_else(|_| Err(Refused::new("INTERNAL", "internal error")));
    let body = match answer {
        Ok(Reply::Done) => json!({"success": true}),
        Ok(Reply::Data(data)) => json!({"success": true, "data": data}),
        Ok(Reply::Bare(body)) => body,
        Ok(Reply::Later(answer)) => {
            tokio::spawn(finish(session.clone(), socket.clone(), (event, ack), answer));
            return Ok(());
        }
        Err(Refused { question: Some(question), .. }) => {
            return Err(Box::new((*question, Waiting { event, payload: kept.unwrap_or_default(), ack })));
        }
        Err(refused) => refusal(&call, &refused),
    };
    acknowledge(ack, &event, &body);
    call.app().counters.latency.observe(began.elapsed().as_secs_f64() * 1000.0);
    Ok(())
}

/// Acknowledges an event once its answer is there.
async fn finish(
    session: Arc<Session>,
    socket: SocketRef,
    (event, ack): (String, AckSender),
    answer: impl Future<Output = Result<Option<Value>, Refused>>,
) {
    let body = match answer.await {
        Ok(Some(data)) => json!({"success": true, "data": data}),
        Ok(None) => json!({"success": true}),
        Err(refused) => refusal(&Call { session: &session, socket: &socket, now: Moment::now() }, &refused),
    };
    acknowledge(ack, &event, &body);
}

/// Tells the sender that an event was not done; gives what it is acknowledged with.
fn refusal(call: &Call<'_>, refused: &Refused) -> Value {
    call.app().metrics.count_error();
    let error = refused.to_json();
    call.reply("error", &error);
    json!({"success": false, "error": error})
}

fn acknowledge(ack: AckSender, event: &str, body: &Value) {
    if let Err(error) = ack.send(body) {
        tracing::debug!(%error, event, "an acknowledgement was lost");
    }
}

fn route(call: &Call<'_>, event: &str, payload: Value) -> Answer {
    match event {
        "ping" => Ok(connection::ping(call, &payload)),
        "auth:refresh" => Ok(connection::refresh(call, payload)),
        "room:join" => rooms::join_room(call, Fields::new(payload)),
        "room:leave" => rooms::leave_room(call, Fields::new(payload)),
        "channel:join" => rooms::join_channel(call, Fields::new(payload)),
        "channel:leave" => rooms::leave_channel(call, Fields::new(payload)),
        "message:send" => messages::send(call, Fields::new(payload)),
        "sync:messages" => messages::sync(call, Fields::new(payload)),
        "sync:channels" => Ok(messages::sync_channels(call)),
        "typing:start" => typing::started(call, Fields::new(payload)),
        "typing:stop" => typing::stopped(call, Fields::new(payload)),
        "typing" | "message:typing" => typing::switched(call, Fields::new(payload)),
        "presence:update" => presence::update(call, Fields::new(payload)),
        "presence:subscribe" => presence::subscribe(call, Fields::new(payload)),
        "presence:unsubscribe" => presence::unsubscribe(call, Fields::new(payload)),
        "presence:get" => presence::get(call, Fields::new(payload)),
        "dispatch" => relay::dispatch(call, Fields::new(payload)),
        _ => Err(Refused::new("UNKNOWN_EVENT", format!("there is no event `{event}` here"))),
    }
}
