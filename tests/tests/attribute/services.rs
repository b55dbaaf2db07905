use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use tower::ServiceExt as _;

use super::*;

/// An error as a web service has it.
#[derive(Debug)]
pub(crate) enum ResponseError {
    Lock(LockError),
    SoldOut,
}

impl From<LockError> for ResponseError {
    fn from(error: LockError) -> Self {
        Self::Lock(error)
    }
}

impl IntoResponse for ResponseError {
    fn into_response(self) -> Response {
        match self {
            Self::Lock(error) => StatusCode::from_u16(error.http_status())
                .expect("an error has a status of HTTP")
                .into_response(),
            Self::SoldOut => StatusCode::GONE.into_response(),
        }
    }
}

#[distributed_lock(key = "{kind}:{seat}", ttl = "2s", wait = "0s")]
async fn handler(
    State(kind): State<&'static str>,
    Path(seat): Path<u8>,
    buyer: String,
) -> Result<(StatusCode, String), ResponseError> {
    if buyer.is_empty() {
        return Err(ResponseError::SoldOut);
    }
    let held = is_held(&format!("{kind}:{seat}")).await;
    Ok((StatusCode::CREATED, format!("{buyer} {held}")))
}

// A request is not `Sync`: nobody may borrow it over an await.
#[distributed_lock(key = "gate:{request.method()}", ttl = "2s", wait = "0s")]
async fn gate(request: Request, next: Next) -> Result<Response, ResponseError> {
    assert!(is_held("gate:POST").await);
    Ok(next.run(request).await)
}

fn service() -> Router {
    Router::new()
        .route("/seats/{seat}", post(handler))
        .with_state("seat")
}

async fn ask(service: Router, buyer: &'static str) -> (StatusCode, String) {
    let request = Request::post("/seats/17").body(Body::from(buyer)).unwrap();
    let response = service.oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1024).await;
    (status, String::from_utf8(body.unwrap().into()).unwrap())
}

/// What the service answers while another owner holds the key.
async fn ask_while_held(service: Router, key: &str) -> StatusCode {
    let manager = lockguard::manager().unwrap();
    let guard = manager.lock(key, TTL).acquire().await.unwrap();
    let (status, _) = ask(service, "ann").await;
    guard.release().await.unwrap();
    status
}

#[tokio::test]
async fn an_axum_handler_is_locked() {
    alone(async {
        let answer = ask(service(), "ann").await;
        assert_eq!(answer, (StatusCode::CREATED, "ann true".to_owned()));
        assert_eq!(ask(service(), "").await.0, StatusCode::GONE);
        let status = ask_while_held(service(), "seat:17").await;
        assert_eq!(status, StatusCode::CONFLICT);
    })
    .await;
}

#[tokio::test]
async fn axum_middleware_is_locked() {
    let service = || service().layer(middleware::from_fn(gate));
    alone(async {
        let answer = ask(service(), "ann").await;
        assert_eq!(answer, (StatusCode::CREATED, "ann true".to_owned()));
        let status = ask_while_held(service(), "gate:POST").await;
        assert_eq!(status, StatusCode::CONFLICT);
    })
    .await;
}

#[tokio::test]
async fn a_layer_gives_the_handlers_of_a_spawned_server_their_manager() {
    let manager = LockManager::memory();
    let scoped = middleware::from_fn(move |request: Request, next: Next| {
        scope(manager.clone(), next.run(request))
    });
    let answer = tokio::spawn(ask(service().layer(scoped), "ann"));
    let (status, body) = answer.await.unwrap();
    assert_eq!((status, &*body), (StatusCode::CREATED, "ann true"));
}

/// As tonic writes the trait of a service.
#[tonic::async_trait]
trait Booking: Send + Sync + 'static {
    async fn book(
        &self,
        request: tonic::Request<u8>,
    ) -> Result<tonic::Response<String>, tonic::Status>;
}

struct Seats {
    hall: u8,
}

#[tonic::async_trait]
impl Booking for Seats {
    #[distributed_lock(
        key = "hall:{self.hall}:{request.get_ref()}",
        ttl = "2s",
        wait = "0s",
        on_error = |error| Err(tonic::Status::aborted(error.to_string())),
    )]
    async fn book(
        &self,
        request: tonic::Request<u8>,
    ) -> Result<tonic::Response<String>, tonic::Status> {
        let seat = request.into_inner();
        let held = is_held(&format!("hall:{}:{seat}", self.hall)).await;
        Ok(tonic::Response::new(format!("{seat} {held}")))
    }
}

#[tokio::test]
async fn a_tonic_service_is_locked() {
    alone(async {
        let seats: Arc<dyn Booking> = Arc::new(Seats { hall: 3 });
        let answer = seats.book(tonic::Request::new(7)).await.unwrap();
        assert_eq!(answer.into_inner(), "7 true");
        let manager = lockguard::manager().unwrap();
        let _guard = manager.lock("hall:3:7", TTL).acquire().await.unwrap();
        let status = seats.book(tonic::Request::new(7)).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Aborted);
    })
    .await;
}
