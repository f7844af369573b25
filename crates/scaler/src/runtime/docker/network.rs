//! The network by which workers reach log-ingest: made where it is not there.

use anyhow::{Context, Result};
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::InspectNetworkOptions;

use super::daemon::{CALL_LIMIT, found, within};
use super::names::{self, Component};
use super::refusal;

/// Makes sure that it is there, for a scaler that starts. The error says what to change.
pub(super) async fn provide(docker: &Docker, name: &str, instance: &str) -> Result<()> {
    ensure(docker, name, instance).await.with_context(|| {
        format!("cannot make the network {name}, named by --docker-network (OTTO_DOCKER_NETWORK)")
    })
}

/// Makes sure that it is there. One that somebody else has made is as good.
pub(super) async fn ensure(docker: &Docker, name: &str, instance: &str) -> Result<(), Error> {
    let look = docker.inspect_network(name, None::<InspectNetworkOptions>);
    if found(within(CALL_LIMIT, look).await)?.is_some() {
        return Ok(());
    }
    let request = NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some("bridge".to_owned()),
        labels: Some(names::labels(instance, Component::Network)),
        ..NetworkCreateRequest::default()
    };
    match within(CALL_LIMIT, docker.create_network(request)).await {
        Ok(_) => {
            tracing::info!(network = name, "made the network of workers");
            Ok(())
        }
        // Somebody else was quicker.
        Err(error) if refusal::is_conflict(&error) => Ok(()),
        Err(error) => Err(error),
    }
}
