//! Whoever asks for health knows the server, or one of its services by name.

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::*;

#[tokio::test]
async fn health_is_told_of_the_server_and_of_each_service_by_its_full_name() {
    let running = Running::in_memory().await;
    let mut client = HealthClient::new(running.channel().await);
    for service in ["", "ottoscaler.v1.LogStreamingService", "ottoscaler.v1.LogQueryService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = client.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let unknown = HealthCheckRequest { service: "ottoscaler.v1.Unknown".to_owned() };
    assert_eq!(client.check(unknown).await.unwrap_err().code(), Code::NotFound);
}
