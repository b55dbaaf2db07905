//! What the service does, and shows.

use std::time::Duration;

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use lockguard::{LockError, distributed_lock};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::sleep;

/// The lock point, as metrics call it.
pub(crate) const POINT: &str = "book";

pub(crate) fn router(shown: PrometheusHandle) -> Router {
    Router::new()
        .route("/seats/{seat}", post(book))
        .route("/metrics", get(show))
        .with_state(shown)
}

/// Books a seat; the bank takes as many milliseconds as the body says.
#[distributed_lock(key = "seat:{seat}", ttl = "500ms", wait = "200ms", name = "book")]
async fn book(Path(seat): Path<u64>, bank: String) -> Result<(StatusCode, String), BookingError> {
    let millis = bank.trim().parse().map_err(|_| BookingError::NoNumber)?;
    sleep(Duration::from_millis(millis)).await;
    Ok((StatusCode::CREATED, format!("seat {seat} is yours\n")))
}

async fn show(State(shown): State<PrometheusHandle>) -> String {
    shown.render()
}

pub(crate) enum BookingError {
    NoNumber,
    Lock(LockError),
}

impl From<LockError> for BookingError {
    fn from(error: LockError) -> Self {
        Self::Lock(error)
    }
}

impl IntoResponse for BookingError {
    fn into_response(self) -> Response {
        match self {
            Self::NoNumber => {
                let text = "say how many milliseconds the bank takes\n";
                (StatusCode::BAD_REQUEST, text).into_response()
            }
            Self::Lock(error) => StatusCode::from_u16(error.http_status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
                .into_response(),
        }
    }
}
