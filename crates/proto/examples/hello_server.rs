//! A gRPC server with one method of each kind. Run it, then `hello_client` in a second terminal:
//!
//! ```text
//! cargo run -p ottoscaler-proto --example hello_server
//! cargo run -p ottoscaler-proto --example hello_client
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to its terminal")]

use std::pin::Pin;

use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming, transport::Server};

use hello::greeter_server::{Greeter, GreeterServer};
use hello::{CountDownRequest, HelloRequest, HelloResponse};

#[allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated code")]
mod hello {
    tonic::include_proto!("hello.v1");
}

/// What a streaming method gives back: messages, one after another, each of which may be an error.
type Responses = Pin<Box<dyn Stream<Item = Result<HelloResponse, Status>> + Send>>;

struct FriendlyGreeter;

fn greeting(name: &str) -> HelloResponse {
    HelloResponse { text: format!("Hello, {name}!") }
}

#[tonic::async_trait]
impl Greeter for FriendlyGreeter {
    /// Unary: a function call over the network.
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloResponse>, Status> {
        let HelloRequest { name } = request.into_inner();
        if name.is_empty() {
            return Err(Status::invalid_argument("name: must not be empty"));
        }
        Ok(Response::new(greeting(&name)))
    }

    type CountDownStream = Responses;

    /// Server streaming: the client reads until the stream ends. A slow client slows the server down,
    /// because HTTP/2 flow control polls this stream only when there is room.
    async fn count_down(&self, request: Request<CountDownRequest>) -> Result<Response<Responses>, Status> {
        let numbers = (0..=request.into_inner().from).rev();
        let responses = tokio_stream::iter(numbers).map(|n| Ok(HelloResponse { text: n.to_string() }));
        Ok(Response::new(Box::pin(responses)))
    }

    /// Client streaming: read everything, answer once.
    async fn greet_all(
        &self,
        request: Request<Streaming<HelloRequest>>,
    ) -> Result<Response<HelloResponse>, Status> {
        let mut requests = request.into_inner();
        let mut names = Vec::new();
        while let Some(HelloRequest { name }) = requests.message().await? {
            names.push(name);
        }
        Ok(Response::new(greeting(&names.join(", "))))
    }

    type ChatStream = Responses;

    /// Bidirectional: each request is answered as it comes, while more may be on the way. An error on
    /// the way in, such as a client that went away, ends the answers too.
    async fn chat(&self, request: Request<Streaming<HelloRequest>>) -> Result<Response<Responses>, Status> {
        let responses = request.into_inner().map(|request| Ok(greeting(&request?.name)));
        Ok(Response::new(Box::pin(responses)))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:50050".to_owned()).parse()?;
    println!("listening on {address}");
    Server::builder().add_service(GreeterServer::new(FriendlyGreeter)).serve(address).await?;
    Ok(())
}
