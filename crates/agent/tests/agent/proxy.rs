//! What stands between an agent and its log-ingest, and answers in its place.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use ottoscaler_proto::v1::log_streaming_service_server::LogStreamingServiceServer;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;

use crate::server::{Seen, Streams};

/// What a registration gets in place of the server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// This plain HTTP status, and no word of gRPC.
    Http(u16),
    /// gRPC's UNIMPLEMENTED, as of a server that does not know the call.
    Unimplemented,
}

impl Denial {
    fn response(self) -> http::Response<Body> {
        match self {
            Self::Http(status) => http::Response::builder().status(status).body(Body::empty()).unwrap(),
            Self::Unimplemented => Status::unimplemented("no such call").into_http(),
        }
    }
}

/// In front of the server; lets through what it does not deny.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) server: LogStreamingServiceServer<Streams>,
    pub(crate) seen: Arc<Mutex<Seen>>,
}

impl NamedService for Proxy {
    const NAME: &'static str = LogStreamingServiceServer::<Streams>::NAME;
}

impl Service<http::Request<Body>> for Proxy {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path().ends_with("/RegisterWorker")
            && let Some(denial) = self.seen.lock().unwrap().denials.pop_front().flatten()
        {
            return Box::pin(std::future::ready(Ok(denial.response())));
        }
        self.server.call(request)
    }
}
