//! Admin HTTP: `/livez`, `/readyz`, `/metrics`, and the `healthcheck` that asks for it.
//!
//! Liveness says that the process answers at all; it never depends on anything outside, so that an
//! outage elsewhere restarts nobody. Readiness says what is missing, in words.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::http;

/// A health check that takes longer than this has failed.
const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Media type of the `OpenMetrics` text format.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a service needs before it can serve: named conditions, each missing at first. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Option<String>>>>);

impl Readiness {
    /// Adds a condition, missing until [`Condition::met`].
    pub fn condition(&self, name: &'static str) -> Condition {
        let condition = Condition { name, readiness: self.clone() };
        condition.missing("not yet");
        condition
    }

    /// The conditions that are missing, with the reason.
    pub fn missing(&self) -> Vec<(&'static str, String)> {
        self.lock().iter().filter_map(|(name, reason)| Some((*name, reason.clone()?))).collect()
    }

    /// Plain data: no panic can leave it half changed.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Option<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thing that a service needs before it can serve.
#[derive(Clone, Debug)]
pub struct Condition {
    name: &'static str,
    readiness: Readiness,
}

impl Condition {
    /// It is there.
    pub fn met(&self) {
        self.readiness.lock().insert(self.name, None);
    }

    /// It is not there, and why.
    pub fn missing(&self, reason: impl Into<String>) {
        self.readiness.lock().insert(self.name, Some(reason.into()));
    }
}

#[derive(Clone)]
struct Admin {
    readiness: Readiness,
    registry: Arc<Registry>,
}

/// Serves the admin endpoints, and `more` of the service's own, until `stop`.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    registry: Registry,
    more: Router,
    stop: CancellationToken,
) -> Result<()> {
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Admin { readiness, registry: Arc::new(registry) })
        .merge(more);
    http::serve(listener, router, stop, |_| {}).await;
    Ok(())
}

async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    let missing = admin.readiness.missing();
    if missing.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    let lines: Vec<_> = missing.iter().map(|(name, reason)| format!("{name}: {reason}\n")).collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines.concat())
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let mut text = String::new();
    match encode(&mut text, &admin.registry) {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, OPENMETRICS)], text),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], error.to_string())
        }
    }
}

/// Asks a service's `/readyz`; for images that hold no other client. The error says what is missing.
pub async fn healthcheck(admin_addr: SocketAddr) -> Result<()> {
    let target = reachable(admin_addr);
    let (status, body) = tokio::time::timeout(HEALTHCHECK_TIMEOUT, get_readyz(target))
        .await
        .with_context(|| format!("no answer from http://{target}/readyz within {HEALTHCHECK_TIMEOUT:?}"))?
        .with_context(|| format!("cannot ask http://{target}/readyz"))?;
    if status != "200" {
        bail!("not ready ({status}): {}", body.trim().replace('\n', "; "));
    }
    Ok(())
}

/// Where a listener on all addresses is reached from its own machine.
fn reachable(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

/// HTTP/1.0, so that the end of the connection is the end of the body.
async fn get_readyz(target: SocketAddr) -> Result<(String, String)> {
    let mut stream = TcpStream::connect(target).await?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    let status = head.split(' ').nth(1).context("the answer has no status")?;
    Ok((status.to_owned(), body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readiness_says_what_is_missing_until_it_is_there() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let readiness = Readiness::default();
        let redis = readiness.condition("redis");
        let stop = CancellationToken::new();
        let mut server =
            Box::pin(serve(listener, readiness, Registry::default(), Router::new(), stop.clone()));

        let check = async {
            redis.missing("connection refused");
            let error = healthcheck(addr).await.unwrap_err().to_string();
            assert!(error.contains("redis: connection refused"), "{error}");
            redis.met();
            healthcheck(addr).await.unwrap();
            stop.cancel();
        };
        let (result, ()) = tokio::join!(&mut server, check);
        result.unwrap();
    }

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_loopback() {
        assert_eq!(reachable("0.0.0.0:9092".parse().unwrap()), "127.0.0.1:9092".parse().unwrap());
        assert_eq!(reachable("[::]:9092".parse().unwrap()), "[::1]:9092".parse().unwrap());
        assert_eq!(reachable("10.1.2.3:9092".parse().unwrap()), "10.1.2.3:9092".parse().unwrap());
    }
}
