use std::io;

use axum::{http::StatusCode, response::IntoResponse as _};

use super::{services::ResponseError, *};

/// Runs the test while another owner holds `busy`.
async fn while_busy<T>(test: impl Future<Output = T>) -> T {
    alone(async {
        let manager = lockguard::manager().unwrap();
        let _guard = manager.lock("busy", 30 * TTL).acquire().await.unwrap();
        test.await
    })
    .await
}

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s")]
async fn with_anyhow(text: &str) -> anyhow::Result<u8> {
    use anyhow::Context as _;
    let number = text.parse().context("no number")?;
    anyhow::ensure!(number > 0, "too small");
    Ok(number)
}

#[tokio::test]
async fn anyhow_carries_the_lock_error() {
    let error = while_busy(with_anyhow("1")).await.unwrap_err();
    let error: &LockError = error.downcast_ref().expect("it is not wrapped");
    assert!(error.is_busy());
}

#[tokio::test]
async fn anyhow_works_in_the_body_as_without_the_attribute() {
    alone(async {
        assert_eq!(with_anyhow("1").await.unwrap(), 1);
        let error = with_anyhow("x").await.unwrap_err();
        assert_eq!(error.to_string(), "no number");
        let error = with_anyhow("0").await.unwrap_err();
        assert_eq!(error.to_string(), "too small");
    })
    .await;
}

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("seat {seat} is sold")]
    Sold { seat: u8 },
    #[error("not alone")]
    Lock(#[from] LockError),
    #[error(transparent)]
    Number(#[from] std::num::ParseIntError),
}

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s")]
async fn with_thiserror(seat: &str) -> Result<u8, ShopError> {
    match seat.parse()? {
        0 => Err(ShopError::Sold { seat: 0 }),
        seat => Ok(seat),
    }
}

#[tokio::test]
async fn thiserror_carries_the_lock_error_as_its_source() {
    let error = while_busy(with_thiserror("1")).await.unwrap_err();
    let source = std::error::Error::source(&error).expect("the lock error");
    assert!(source.downcast_ref::<LockError>().unwrap().is_busy());
}

#[tokio::test]
async fn thiserror_works_in_the_body_as_without_the_attribute() {
    alone(async {
        assert_eq!(with_thiserror("3").await.unwrap(), 3);
        let sold = with_thiserror("0").await.unwrap_err();
        assert_eq!(sold.to_string(), "seat 0 is sold");
        let number = with_thiserror("x").await.unwrap_err();
        assert!(matches!(number, ShopError::Number(_)));
    })
    .await;
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Opaque(#[from] anyhow::Error);

impl From<LockError> for Opaque {
    fn from(error: LockError) -> Self {
        Self(error.into())
    }
}

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s")]
async fn with_an_opaque_error() -> Result<(), Opaque> {
    Err(anyhow::anyhow!("inside"))?;
    Ok(())
}

#[tokio::test]
async fn an_opaque_error_type_carries_both() {
    let error = while_busy(with_an_opaque_error()).await.unwrap_err();
    assert!(error.to_string().contains("busy"), "{error}");
    let error = alone(with_an_opaque_error()).await.unwrap_err();
    assert_eq!(error.to_string(), "inside");
}

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s")]
async fn with_a_boxed_error(text: &str) -> Result<u8, Box<dyn std::error::Error + Send + Sync>> {
    if text.is_empty() {
        return Err("no text".into());
    }
    Ok(text.parse()?)
}

#[tokio::test]
async fn a_boxed_error_carries_the_lock_error() {
    let error = while_busy(with_a_boxed_error("1")).await.unwrap_err();
    assert!(error.downcast::<LockError>().unwrap().is_busy());
}

#[tokio::test]
async fn a_boxed_error_works_in_the_body_as_without_the_attribute() {
    alone(async {
        assert_eq!(with_a_boxed_error("1").await.unwrap(), 1);
        let error = with_a_boxed_error("").await.unwrap_err();
        assert_eq!(error.to_string(), "no text");
        with_a_boxed_error("x").await.unwrap_err();
    })
    .await;
}

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s")]
async fn with_an_io_error(name: &str) -> io::Result<String> {
    match name {
        "" => Err(io::ErrorKind::NotFound.into()),
        name => Ok(name.to_owned()),
    }
}

#[tokio::test]
async fn an_io_error_has_the_kind_and_the_lock_error() {
    let error = while_busy(with_an_io_error("a")).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    let inner = error.get_ref().expect("the lock error");
    assert!(inner.downcast_ref::<LockError>().unwrap().is_busy());
}

#[tokio::test]
async fn an_io_error_works_in_the_body_as_without_the_attribute() {
    alone(async {
        assert_eq!(with_an_io_error("a").await.unwrap(), "a");
        let error = with_an_io_error("").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    })
    .await;
}

/// `Status` and `LockError` are both from elsewhere: there can be no `From`.
fn status(error: &LockError) -> tonic::Status {
    match error.http_status() {
        409 => tonic::Status::aborted("try again"),
        _ => tonic::Status::internal(error.to_string()),
    }
}

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s", on_error = |error| Err(status(&error)))]
async fn with_a_status(seat: u8) -> Result<tonic::Response<u8>, tonic::Status> {
    match seat {
        0 => Err(tonic::Status::already_exists("sold")),
        seat => Ok(tonic::Response::new(seat)),
    }
}

#[tokio::test]
async fn a_status_is_made_of_the_lock_error() {
    let status = while_busy(with_a_status(1)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Aborted);
}

#[tokio::test]
async fn a_status_works_in_the_body_as_without_the_attribute() {
    alone(async {
        assert_eq!(with_a_status(1).await.unwrap().into_inner(), 1);
        let status = with_a_status(0).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::AlreadyExists);
    })
    .await;
}

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s")]
async fn with_a_response_error(seat: u8) -> Result<String, ResponseError> {
    match seat {
        0 => Err(ResponseError::SoldOut),
        seat => Ok(format!("seat {seat}")),
    }
}

#[tokio::test]
async fn an_error_that_becomes_a_response_has_the_status_of_the_lock_error() {
    let response = while_busy(with_a_response_error(1)).await.into_response();
    assert_eq!(response.status(), StatusCode::CONFLICT);
}

#[tokio::test]
async fn an_error_that_becomes_a_response_works_in_the_body_as_without_the_attribute() {
    alone(async {
        let status = async |seat| with_a_response_error(seat).await.into_response().status();
        assert_eq!(status(1).await, StatusCode::OK);
        assert_eq!(status(0).await, StatusCode::GONE);
    })
    .await;
}

type Answer<T = (), E = ShopError> = Result<T, E>;

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s")]
async fn with_an_alias_of_defaults() -> Answer {
    Ok(())
}

#[tokio::test]
async fn an_alias_with_defaults_is_seen_through() {
    let error = while_busy(with_an_alias_of_defaults()).await.unwrap_err();
    assert!(matches!(error, ShopError::Lock(_)));
    alone(with_an_alias_of_defaults()).await.unwrap();
}

struct Response(u16, String);

#[expect(clippy::needless_pass_by_value, reason = "what `on_error` asks for")]
fn refuse(error: LockError) -> Response {
    Response(error.http_status(), error.to_string())
}

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s", on_error = refuse)]
async fn handler() -> Response {
    Response(200, String::new())
}

#[tokio::test]
async fn a_type_without_an_error_has_a_handler() {
    let response = while_busy(handler()).await;
    assert_eq!(response.0, 409);
    assert!(response.1.contains("busy"), "{}", response.1);
    assert_eq!(alone(handler()).await.0, 200);
}

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s", on_error = |error| {
    tracing::debug!("{error}");
    std::ops::ControlFlow::Break(error)
})]
async fn control_flow() -> std::ops::ControlFlow<LockError, u8> {
    std::ops::ControlFlow::Continue(1)
}

#[tokio::test]
async fn a_handler_makes_any_type() {
    assert!(while_busy(control_flow()).await.is_break());
    assert!(alone(control_flow()).await.is_continue());
}
