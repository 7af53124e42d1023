//! Answers that hold for a while, so that a judge is not asked about every message.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Denied, Question, UNANSWERED_FOR};

/// The most answers of one generation; two are kept.
const MOST_ANSWERS: usize = 20_000;

struct Answer {
    answer: Result<(), Denied>,
    ends: Instant,
}

type Generation = HashMap<Question, Answer>;

/// What was answered lately.
pub(super) struct Answers {
    hold: Duration,
    /// The present generation and the one before: when the first is full, the second goes, without a walk over either.
    generations: Mutex<(Generation, Generation)>,
}

impl Answers {
    pub(super) fn new(hold: Duration) -> Self {
        // Whoever asks looks for the answer afterwards: it must still be there.
        let hold = hold.max(UNANSWERED_FOR);
        Self { hold, generations: Mutex::default() }
    }

    /// The answer, while it holds.
    pub(super) fn get(&self, question: &Question, now: Instant) -> Option<Result<(), Denied>> {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = generations.0.get(question).or_else(|| generations.1.get(question));
        answer.filter(|answer| answer.ends > now).map(|answer| answer.answer)
    }

    pub(super) fn put(&self, question: Question, answer: Result<(), Denied>, now: Instant) {
        let hold = if answer == Err(Denied::Unanswered) { UNANSWERED_FOR } else { self.hold };
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.0.len() >= MOST_ANSWERS {
            generations.1 = std::mem::take(&mut generations.0);
        }
        generations.0.insert(question, Answer { answer, ends: now + hold });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Action;
    use crate::hub::Room;

    fn question(number: usize) -> Question {
        let room = Room::parse(&number.to_string(), None).expect("a legal name");
        Question { user_id: None, room, action: Action::Join }
    }

    #[test]
    fn an_answer_holds_for_its_time_and_no_answer_for_a_second() {
        let (answers, now) = (Answers::new(Duration::from_secs(30)), Instant::now());
        answers.put(question(1), Ok(()), now);
        answers.put(question(2), Err(Denied::Unanswered), now);
        let at = |seconds, number| answers.get(&question(number), now + Duration::from_secs(seconds));
        assert_eq!((at(0, 1), at(0, 2)), (Some(Ok(())), Some(Err(Denied::Unanswered))));
        assert_eq!((at(29, 1), at(1, 2), at(30, 1)), (Some(Ok(())), None, None));
    }

    #[test]
    fn many_questions_cannot_fill_the_memory() {
        let (answers, now) = (Answers::new(Duration::from_secs(30)), Instant::now());
        for number in 0..=MOST_ANSWERS * 2 {
            answers.put(question(number), Ok(()), now);
        }
        let generations = answers.generations.lock().expect("it is whole");
        assert_eq!((generations.0.len(), generations.1.len()), (1, MOST_ANSWERS));
    }
}
