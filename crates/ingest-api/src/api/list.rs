//! Lists by cursor.

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    http::{
        cursor::{CursorBinding, Position},
        error::ApiError,
    },
    state::State,
};

/// Some items of a list, and the cursor of the next page.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListPage<T> {
    items: Vec<T>,
    /// Cursor of the next page; null at the end.
    next_cursor: Option<String>,
}

/// Returns the position in the list of `binding`, by the cursor of the query.
pub(crate) fn place(
    state: &State,
    binding: &CursorBinding,
    cursor: Option<&str>,
) -> Result<Option<Position>, ApiError> {
    let Some(cursor) = cursor else { return Ok(None) };
    Ok(Some(Position::open(&state.cursor_keys.key(), binding, cursor)?))
}

/// Returns the answer with these items, and a cursor if `next` is set.
pub(crate) fn answer<T: Serialize>(
    state: &State,
    binding: &CursorBinding,
    items: Vec<T>,
    next: Option<Position>,
) -> HttpResponse {
    let next_cursor = next.map(|next| next.seal(&state.cursor_keys.key(), binding));
    HttpResponse::Ok().json(ListPage { items, next_cursor })
}
