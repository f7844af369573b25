//! The streams of lines, taken past tonic where they are not compressed: [`super::runs`] says why. All else, and the
//! answers, go its way.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use futures::future::Either;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use ottoscaler_proto::v1::{LogBatch, LogResponse};
use prost::Message;
use tonic::Status;
use tonic::body::Body;
use tonic::codec::{Codec, EncodeBody, SingleMessageCompressionOverride};
use tonic::codegen::Service;
use tonic::codegen::http::header::CONTENT_TYPE;
use tonic::codegen::http::{Request, Response};
use tonic::metadata::GRPC_CONTENT_TYPE;
use tonic::server::NamedService;

use super::entry_codec::EntryCodec;
use super::inflow::Inflow;
use super::runs::{Run, Runs};
use super::session::Session;
use super::slim::SlimCodec;
use super::{batches, entries};
use crate::server::Server;

const ENTRIES: &str = "/ottoscaler.v1.LogStreamingService/StreamLogs";
const BATCHES: &str = "/ottoscaler.v1.LogStreamingService/StreamLogBatches";

/// The service behind it gets what it does not take itself.
#[derive(Clone)]
pub(crate) struct Direct<S> {
    service: S,
    server: Server,
    max_message: usize,
    inflow: Inflow,
}

impl<S> Direct<S> {
    /// Takes messages of at most so many bytes, as `service` does.
    pub(crate) const fn new(service: S, server: Server, max_message: usize, inflow: Inflow) -> Self {
        Self { service, server, max_message, inflow }
    }
}

impl<S: NamedService> NamedService for Direct<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Direct<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<Body>, Infallible>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let request = request.map(|body| self.inflow.bounded(body));
        let is_entries = match request.uri().path() {
            ENTRIES if !is_compressed(&request) => true,
            BATCHES if !is_compressed(&request) => false,
            _ => return Either::Right(self.service.call(request)),
        };
        let session = Session::of(request.headers());
        let runs = Runs::new(request.into_body(), self.max_message);
        let response = if is_entries {
            response(EntryCodec, entries::responses(&self.server, session, runs))
        } else {
            let codec = SlimCodec::<LogResponse, LogBatch>::default();
            response(codec, batches::responses(&self.server, session, decoded(runs)))
        };
        Either::Left(ready(Ok(response)))
    }
}

fn is_compressed(request: &Request<Body>) -> bool {
    request.headers().get("grpc-encoding").is_some_and(|encoding| encoding != "identity")
}

fn decoded(runs: Runs) -> impl Stream<Item = Result<LogBatch, Status>> + Send + 'static {
    runs.flat_map(|run| {
        let (mut run, failure) = match run {
            Ok(run) => (run, None),
            Err(status) => (Run::default(), Some(Err(status))),
        };
        let decode = |batch| LogBatch::decode(batch).map_err(|error| Status::internal(error.to_string()));
        stream::iter(std::iter::from_fn(move || run.pop()).map(decode).chain(failure))
    })
}

/// As tonic makes it of a stream.
fn response<C: Codec<Encoder: Send>>(
    mut codec: C,
    messages: BoxStream<'static, Result<C::Encode, Status>>,
) -> Response<Body>
where
    C::Encode: Send + 'static,
    C::Encoder: 'static,
{
    let whole = SingleMessageCompressionOverride::Inherit;
    let mut response =
        Response::new(Body::new(EncodeBody::new_server(codec.encoder(), messages, None, whole, None)));
    response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
    response
}
