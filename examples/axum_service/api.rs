//! What the service answers.

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::post,
};
use lockguard::{LockError, distributed_lock};
use redis::RedisError;
use tracing::{error, instrument};

use crate::shop::Shop;

pub(crate) fn router(shop: Shop) -> Router {
    Router::new()
        .route("/seats/{seat}", post(book).delete(give_back))
        .with_state(shop)
}

async fn book(
    State(shop): State<Shop>,
    Path(seat): Path<u64>,
    buyer: String,
) -> Result<(StatusCode, String), BookingError> {
    sell(&shop, seat, &buyer).await?;
    // What needs no lock comes after it: nobody waits for the mail.
    shop.mail().await;
    Ok((StatusCode::CREATED, format!("seat {seat} for {buyer}\n")))
}

/// Looks, pays and sells: what would sell a seat twice without the lock.
// `instrument` below the lock: the span is around the waiting too.
#[distributed_lock(key = "seat:{seat}", ttl = "2s", wait = "3s")]
#[instrument(skip(shop))]
async fn sell(shop: &Shop, seat: u64, buyer: &str) -> Result<(), BookingError> {
    if shop.is_sold(seat).await? {
        return Err(BookingError::Sold);
    }
    shop.pay().await;
    shop.sell(seat, buyer).await?;
    Ok(())
}

// A handler may be locked as a whole.
// `instrument` above the lock: the span is the body alone.
#[instrument(skip(shop))]
#[distributed_lock(key = "seat:{seat}", ttl = "2s", wait = "3s")]
async fn give_back(
    State(shop): State<Shop>,
    Path(seat): Path<u64>,
) -> Result<StatusCode, BookingError> {
    shop.take_back(seat).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug)]
pub(crate) enum BookingError {
    Sold,
    Lock(LockError),
    Store(RedisError),
}

impl From<LockError> for BookingError {
    fn from(error: LockError) -> Self {
        Self::Lock(error)
    }
}

impl From<RedisError> for BookingError {
    fn from(error: RedisError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for BookingError {
    /// Busy is 409, and a service without its servers 503; what went wrong
    /// inside is for the log and not for the client.
    fn into_response(self) -> Response {
        match self {
            Self::Sold => (StatusCode::GONE, "this seat is sold\n").into_response(),
            Self::Lock(error) => {
                let status = StatusCode::from_u16(error.http_status())
                    .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                if error.is_busy() {
                    // Not `retry_after`, which is when the lock of a holder that
                    // has crashed ends: most give it back long before.
                    let text = "somebody else is at this seat; try again\n";
                    return (status, [(RETRY_AFTER, "1")], text).into_response();
                }
                error!("failed to {error}");
                status.into_response()
            }
            Self::Store(error) => {
                error!("failed to reach the shop: {error}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}
