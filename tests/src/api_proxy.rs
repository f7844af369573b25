//! A reverse proxy before a [`KubeApi`] that fails the way API servers fail: refuses, forgets to answer,
//! takes its time, cuts watches.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use kube::Client;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::kube_api::{KubeApi, SCALER};

/// A request is at most so large: a Pod is far smaller.
const MAX_REQUEST: usize = 4 << 20;

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A new Pod.
    Create,
    /// The end of a Pod.
    Delete,
    /// One Pod.
    Get,
    /// All Pods.
    List,
    /// The Pods' changes.
    Watch,
    /// The Lease.
    Lease,
    /// Something else.
    Other,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        match (request.method(), path) {
            (_, path) if path.contains("/leases") => Self::Lease,
            (&Method::GET, _) if query.contains("watch=true") => Self::Watch,
            (&Method::POST, path) if path.ends_with("/pods") => Self::Create,
            (&Method::GET, path) if path.ends_with("/pods") => Self::List,
            (&Method::DELETE, path) if path.contains("/pods/") => Self::Delete,
            (&Method::GET, path) if path.contains("/pods/") => Self::Get,
            _ => Self::Other,
        }
    }
}

/// How a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not carried out; refused in the API's own form, with so many seconds to wait where they are not 0.
    Refuse(u16, u32),
    /// Not carried out; refused as an API server does it that is asked too much: in plain text, with the
    /// seconds to wait in a header alone.
    TooMuch(u32),
    /// Carried out, and the connection cut before the answer.
    LoseAnswer,
    /// Carried out after so long.
    Slow(Duration),
    /// A watch that is told that its place is gone.
    Gone,
}

/// A fault that so many requests of a kind meet.
struct Planned {
    asked: Option<Asked>,
    fault: Fault,
    left: usize,
}

/// Faults that some requests meet.
struct AtRandom {
    rng: StdRng,
    share: f64,
    faults: Vec<Fault>,
}

impl AtRandom {
    fn fault(&mut self) -> Option<Fault> {
        let meets = self.rng.random_bool(self.share);
        meets.then(|| self.faults[self.rng.random_range(0..self.faults.len())])
    }
}

#[derive(Default)]
struct Plan {
    planned: Vec<Planned>,
    at_random: Option<AtRandom>,
    seen: Vec<(Asked, Instant, Option<Fault>)>,
    watches: CancellationToken,
}

impl Plan {
    fn fault(&mut self, asked: Asked) -> Option<Fault> {
        let planned = self
            .planned
            .iter_mut()
            .find(|planned| planned.left > 0 && planned.asked.is_none_or(|kind| kind == asked));
        let fault = match planned {
            Some(planned) => {
                planned.left -= 1;
                Some(planned.fault)
            }
            None => self.at_random.as_mut().and_then(AtRandom::fault),
        };
        self.seen.push((asked, Instant::now(), fault));
        fault
    }
}

#[derive(Clone)]
struct Proxy {
    client: Client,
    plan: Arc<Mutex<Plan>>,
}

/// A running proxy that speaks to the API server as the scaler's user. Dropping it ends it.
pub struct ApiProxy {
    addr: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    kubeconfig: PathBuf,
    server: JoinHandle<()>,
}

impl ApiProxy {
    /// Starts one on loopback, without any fault.
    #[allow(clippy::disallowed_methods, reason = "the server is owned and aborted by the proxy")]
    pub async fn start(api: &KubeApi, namespace: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let addr = listener.local_addr().expect("a listener has an address");
        let plan = Arc::new(Mutex::new(Plan::default()));
        let proxy = Proxy { client: api.client(SCALER), plan: Arc::clone(&plan) };
        let router = Router::new().fallback(answer).with_state(proxy);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        let kubeconfig = api.kubeconfig_by(&format!("http://{addr}"), SCALER, namespace);
        Self { addr, plan, kubeconfig, server }
    }

    /// A file for the variable `KUBECONFIG`, which leads here.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig.clone()
    }

    /// The next `times` requests of a kind, or of any, meet a fault.
    pub fn fail(&self, asked: impl Into<Option<Asked>>, fault: Fault, times: usize) {
        self.plan().planned.push(Planned { asked: asked.into(), fault, left: times });
    }

    /// From now on a share of all requests meet one of these.
    pub fn fail_at_random(&self, seed: u64, share: f64, faults: &[Fault]) {
        let rng = StdRng::seed_from_u64(seed);
        self.plan().at_random = Some(AtRandom { rng, share, faults: faults.to_vec() });
    }

    /// No request meets a fault any more.
    pub fn relent(&self) {
        let mut plan = self.plan();
        plan.planned.clear();
        plan.at_random = None;
    }

    /// Ends every watch that is open, in the middle.
    pub fn cut_watches(&self) {
        std::mem::take(&mut self.plan().watches).cancel();
    }

    /// When each request of a kind came, and the fault that it met.
    pub fn seen(&self, asked: Asked) -> Vec<(Instant, Option<Fault>)> {
        let plan = self.plan();
        plan.seen.iter().filter(|seen| seen.0 == asked).map(|(_, at, fault)| (*at, *fault)).collect()
    }

    /// How many requests met a fault.
    pub fn faults(&self) -> usize {
        self.plan().seen.iter().filter(|(.., fault)| fault.is_some()).count()
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for ApiProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiProxy").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        self.server.abort();
        self.cut_watches();
    }
}

async fn answer(State(proxy): State<Proxy>, request: Request) -> Response {
    let asked = Asked::of(&request);
    let (fault, watches) = {
        let mut plan = proxy.plan.lock().unwrap_or_else(PoisonError::into_inner);
        (plan.fault(asked), plan.watches.clone())
    };
    match fault {
        Some(Fault::Refuse(code, seconds)) => refusal(code, seconds),
        Some(Fault::TooMuch(seconds)) => {
            let headers = [(header::RETRY_AFTER, seconds.to_string())];
            (StatusCode::TOO_MANY_REQUESTS, headers, "Too many requests, please try again later.")
                .into_response()
        }
        Some(Fault::Gone) if asked == Asked::Watch => {
            let event = json!({"type": "ERROR", "object": status(410, 0)});
            format!("{event}\n").into_response()
        }
        Some(Fault::LoseAnswer) => {
            let _lost = forward(&proxy.client, request, watches).await;
            // The client is in the middle of an answer when the connection ends.
            Body::from_stream(futures::stream::iter([Err::<String, _>(std::io::Error::other("cut"))]))
                .into_response()
        }
        Some(Fault::Slow(pause)) => {
            tokio::time::sleep(pause).await;
            forward(&proxy.client, request, watches).await
        }
        Some(Fault::Gone) | None => forward(&proxy.client, request, watches).await,
    }
}

fn status(code: u16, seconds: u32) -> serde_json::Value {
    let reason = match code {
        401 => "Unauthorized",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "reason": reason, "message": format!("planned: {reason}"), "details": {"retryAfterSeconds": seconds},
    })
}

fn refusal(code: u16, seconds: u32) -> Response {
    let code_of = StatusCode::from_u16(code).expect("a code of HTTP");
    (code_of, axum::Json(status(code, seconds))).into_response()
}

/// As the API server answers; a watch until it is cut.
async fn forward(client: &Client, request: Request, watches: CancellationToken) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_REQUEST).await.expect("a request is small");
    // The client has its own.
    parts.headers.remove(header::AUTHORIZATION);
    parts.headers.remove(header::HOST);
    let forwarded = http::Request::from_parts(parts, kube::client::Body::from(body));
    match client.send(forwarded).await {
        Ok(response) => response.map(|body| {
            let cut = watches.cancelled_owned();
            let stream = Body::new(body).into_data_stream().take_until(cut);
            Body::from_stream(stream)
        }),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
