//! gRPC on 9090: health and reflection.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// A connection that is idle is asked this often whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Serves until `stop`. Health says that this server serves; what the scaler as a whole is missing
/// is at `/readyz`.
pub async fn serve(listener: TcpListener, stop: CancellationToken) -> Result<()> {
    let (_health, health_service) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .context("the descriptors of the gRPC services are broken")?;
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), stop.cancelled_owned())
        .await
        .context("gRPC failed")
}
