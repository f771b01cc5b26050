//! `/dead-letters`: messages that could not be processed, for operators to requeue or purge.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web::Data};
use askama::Template;
use jiff::Timestamp;
use pisync_core::queue::{BuriedLetter, KEPT_DEAD};
use serde::Deserialize;

use super::{
    form::PageForm,
    page::{Frame, PageError, go_to, render_with},
    relative_time::{RelativeTime, grouped},
    sign_in::begin_for_forms,
    viewer::Viewer,
};
use crate::{http::error::ApiError, state::State};

/// Number of letters shown for each partition.
const SHOWN: usize = 50;

/// Maximum length of a message that is shown, in bytes.
const BYTES: usize = 2_000;

struct Letter {
    id: String,
    partition: u16,
    reason: &'static str,
    error: String,
    attempt: u32,
    died: RelativeTime,
    bytes: usize,
    message: String,
    is_cut: bool,
}

#[derive(Template)]
#[template(path = "dead_letters.html")]
struct DeadLettersPage {
    frame: Frame,
    letters: Vec<Letter>,
    total: String,
    /// The partitions whose letters are unavailable, with the error.
    unavailable: Vec<(u16, String)>,
    done: &'static str,
}

/// An action on a letter.
#[derive(Deserialize)]
pub(super) struct Order {
    token: String,
    action: String,
    partition: u16,
    id: String,
}

/// Returns the newest letters of each partition.
pub(super) async fn get(
    request: HttpRequest,
    mut viewer: Viewer,
    state: Data<State>,
) -> Result<HttpResponse, PageError> {
    if !viewer.may_operate {
        return Err(PageError::Forbidden("Dead letters are for keys with the scope operate or admin."));
    }
    let cookie = begin_for_forms(&request, &mut viewer, &state);
    let now = Timestamp::now();
    let found = state.queue.dead_letters_of_each(SHOWN).await.map_err(ApiError::from)?;
    let mut letters: Vec<_> = found.available.into_iter().flatten().collect();
    letters.sort_by_key(|buried| std::cmp::Reverse(buried.letter.died_at));
    let status = state.queue.status_of_each().await.map_err(ApiError::from)?;
    let total: u64 = status.available.iter().map(|partition| partition.dead).sum();
    // One error is shown for each partition, whichever query had it.
    let unavailable: BTreeMap<_, _> = found.unavailable.into_iter().chain(status.unavailable).collect();
    let page = DeadLettersPage {
        frame: viewer.frame("Dead letters", "/dead-letters"),
        letters: letters.iter().map(|buried| Letter::new(buried, now)).collect(),
        total: grouped(total),
        unavailable: unavailable
            .into_iter()
            .map(|(partition, error)| (partition.number(), error.to_string()))
            .collect(),
        done: match request.query_string() {
            "done=requeued" => "The message is back at the end of the queue.",
            "done=purged" => "The message is purged.",
            "done=gone" => "This letter no longer exists.",
            _ => "",
        },
    };
    Ok(render_with(cookie, &page))
}

/// Requeues or purges a letter.
pub(super) async fn post(
    viewer: Viewer,
    order: PageForm<Order>,
    state: Data<State>,
) -> Result<HttpResponse, PageError> {
    viewer.may_do(&state, &order.token)?;
    let letter = find(&state, &order).await?;
    let (treated, word) = match (&letter, order.action.as_str()) {
        (Some(letter), "requeue") => (state.queue.requeue(letter).await.map_err(ApiError::from)?, "requeued"),
        (Some(letter), "purge") => (state.queue.purge(letter).await.map_err(ApiError::from)?, "purged"),
        (None, _) => (false, ""),
        _ => return Err(ApiError::malformed("the form asks for requeue or purge").into()),
    };
    let done = if treated { word } else { "gone" };
    let who = viewer.key_id().unwrap_or_default();
    log::info!(dead_letter = order.id.as_str(), done, key_id = who; "dead letter requeued or purged");
    Ok(go_to(&format!("/dead-letters?done={done}")).finish())
}

async fn find(state: &State, order: &Order) -> Result<Option<BuriedLetter>, ApiError> {
    let partition = state.queue.partitions().find(|partition| partition.number() == order.partition);
    let Some(partition) = partition else { return Ok(None) };
    let letters = state.queue.dead_letters(partition, 0, KEPT_DEAD).await?;
    Ok(letters.into_iter().find(|buried| buried.letter.id == order.id))
}

impl Letter {
    fn new(buried: &BuriedLetter, now: Timestamp) -> Self {
        let letter = &buried.letter;
        let message = &letter.message[..letter.message.len().min(BYTES)];
        Self {
            id: letter.id.clone(),
            partition: buried.partition.number(),
            reason: letter.reason.as_str(),
            error: letter.error.clone(),
            attempt: letter.attempt,
            died: RelativeTime::new(letter.died_at, now),
            bytes: letter.message.len(),
            message: message.escape_ascii().to_string(),
            is_cut: letter.message.len() > BYTES,
        }
    }
}
