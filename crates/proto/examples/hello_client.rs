//! Calls each method of `hello_server` once: unary, server streaming, client streaming, bidirectional.

#![allow(clippy::print_stdout, reason = "an example talks to its terminal")]

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use hello::greeter_client::GreeterClient;
use hello::{CountDownRequest, HelloRequest};

#[allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated code")]
mod hello {
    tonic::include_proto!("hello.v1");
}

fn request(name: &str) -> HelloRequest {
    HelloRequest { name: name.to_owned() }
}

/// Without time limits a server that hangs would hang its clients with it.
async fn connect() -> anyhow::Result<GreeterClient<Channel>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:50050".to_owned());
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(10));
    Ok(GreeterClient::new(endpoint.connect().await?))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut client = connect().await?;

    let answer = client.say_hello(request("Otto")).await?.into_inner();
    println!("unary:            {}", answer.text);

    let mut numbers = client.count_down(CountDownRequest { from: 3 }).await?.into_inner();
    while let Some(number) = numbers.message().await? {
        println!("server streaming: {}", number.text);
    }

    let everyone = tokio_stream::iter(["Ada", "Grace", "Edsger"].map(request));
    let answer = client.greet_all(everyone).await?.into_inner();
    println!("client streaming: {}", answer.text);

    let questions = tokio_stream::iter(["ping", "pong"].map(request));
    let mut answers = client.chat(questions).await?.into_inner();
    while let Some(answer) = answers.message().await? {
        println!("bidirectional:    {}", answer.text);
    }
    Ok(())
}
