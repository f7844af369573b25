//! The two requests that a worker costs, as cheap for the API server as it allows.
//!
//! Both are answered with metadata alone, not with the whole Pod: writing that out takes the server
//! longer than most of what else it does. And a manifest made of types needs no second reading for
//! fields that do not exist.

use http::header::{ACCEPT, HeaderValue};
use http::{Request, Uri};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams};
use kube::core::request::{Error as RequestError, Request as Build};
use kube::{Client, Resource};
use serde::de::IgnoredAny;

use super::worker_pod::WorkerPod;
use crate::ids::WorkerId;

/// How the API server is asked for an object's metadata:
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches>.
const METADATA_ONLY: HeaderValue = HeaderValue::from_static(
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;q=0.9",
);

/// Makes and ends Pods of a namespace; cheap to clone.
#[derive(Clone)]
pub(super) struct Requests {
    client: Client,
    build: Build,
}

impl Requests {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        let build = Build::new(Pod::url_path(&(), Some(namespace)));
        Self { client, build }
    }

    /// Makes a Pod, and gives what it is known by.
    pub(super) async fn create(&self, pod: &Pod) -> kube::Result<WorkerPod> {
        let body = serde_json::to_vec(pod).map_err(kube::Error::SerdeError)?;
        let request = self.build.create(&PostParams::default(), body).map_err(kube::Error::BuildRequest)?;
        let request = unvalidated(request).map_err(kube::Error::BuildRequest)?;
        self.client.request(metadata_only(request)).await
    }

    /// Asks for the end of a Pod.
    pub(super) async fn delete(&self, pod: &WorkerId, how: &DeleteParams) -> kube::Result<()> {
        let request = self.build.delete(pod.as_str(), how).map_err(kube::Error::BuildRequest)?;
        let _pod_or_status: IgnoredAny = self.client.request(metadata_only(request)).await?;
        Ok(())
    }
}

fn metadata_only(mut request: Request<Vec<u8>>) -> Request<Vec<u8>> {
    request.headers_mut().insert(ACCEPT, METADATA_ONLY);
    request
}

/// The server need not look for fields that it does not know.
fn unvalidated(mut request: Request<Vec<u8>>) -> Result<Request<Vec<u8>>, RequestError> {
    let uri = format!("{}&fieldValidation=Ignore", request.uri());
    *request.uri_mut() = Uri::try_from(uri).map_err(|error| RequestError::BuildRequest(error.into()))?;
    Ok(request)
}
