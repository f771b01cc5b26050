//! The form of a page, as a browser sends it, with its media type, size and time checked.

use actix_web::{
    FromRequest, HttpRequest, dev,
    web::{Payload, Query},
};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::page::PageError;
use crate::http::{
    body::{body_of_form, is_form},
    error::ApiError,
};

/// The content of a form.
#[derive(Debug)]
pub(super) struct PageForm<T>(pub(super) T);

impl<T> std::ops::Deref for PageForm<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for PageForm<T> {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let (request, payload) = (request.clone(), Payload::from_request(request, payload));
        Box::pin(async move {
            if !is_form(&request) {
                return Err(ApiError::MediaType { accept: "application/x-www-form-urlencoded" }.into());
            }
            let payload = payload.await.map_err(|error| unreadable(&error))?;
            let body = body_of_form(&request, payload).await?;
            let text = std::str::from_utf8(&body).map_err(|error| unreadable(&error))?;
            Query::<T>::from_query(text).map(|form| Self(form.into_inner())).map_err(|error| unreadable(&error))
        })
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> PageError {
    ApiError::malformed(format!("the form cannot be read: {error}")).into()
}
