//! The network by which workers reach log-ingest: made where it is not there.
//!
//! What else they reach: each other; and through a bridge, which is what is made, whatever the machine reaches and
//! does not keep from them: its own services that listen on all addresses, the local network, the internet, and a
//! cloud's metadata (169.254.169.254) with the credentials of the machine. An internal network leads nowhere beyond
//! the machine, by Docker's firewall: then log-ingest has to be in it, too, and commands fetch nothing. One that is
//! there already is used as it is, unless it ought to be internal and is not.

use anyhow::{Context, Result, bail};
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::InspectNetworkOptions;

use super::daemon::{CALL_LIMIT, found, within};
use super::names::{self, Component};
use super::refusal;

/// The network of workers, as it is asked for.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// It leads nowhere beyond the machine.
    pub internal: bool,
}

/// Makes sure that it is there and is what was asked for, for a scaler that starts. The error says what to change.
pub(super) async fn provide(docker: &Docker, network: &Network, instance: &str) -> Result<()> {
    let Network { name, internal } = network;
    let named = || format!("the network {name}, named by --docker-network (OTTO_DOCKER_NETWORK)");
    ensure(docker, network, instance).await.with_context(|| format!("cannot make {}", named()))?;
    let look = docker.inspect_network(name, None::<InspectNetworkOptions>);
    let is_internal = within(CALL_LIMIT, look).await.with_context(named)?.internal == Some(true);
    if *internal && !is_internal {
        bail!(
            "{} is there and has a way out, which --docker-internal (OTTO_DOCKER_INTERNAL) forbids; remove it, or \
             name another",
            named()
        );
    }
    Ok(())
}

/// Makes sure that it is there. One that somebody else has made is as good.
pub(super) async fn ensure(docker: &Docker, network: &Network, instance: &str) -> Result<(), Error> {
    let Network { name, internal } = network;
    let look = docker.inspect_network(name, None::<InspectNetworkOptions>);
    if found(within(CALL_LIMIT, look).await)?.is_some() {
        return Ok(());
    }
    let request = NetworkCreateRequest {
        name: name.clone(),
        driver: Some("bridge".to_owned()),
        internal: Some(*internal),
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
