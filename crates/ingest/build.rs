//! Generates the services' sides of the contract with codecs of our own, which `ottoscaler-proto` knows nothing
//! of: what many readers are told is encoded once, and streams that wait take little memory.

use tonic_build::manual::{Builder, Method, MethodBuilder, Service};

const PROST: &str = "tonic_prost::ProstCodec";
const SLIM: &str = "crate::service::slim::SlimCodec";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let tail = method("tail_logs", "TailLogs", "TailRequest")
        .output_type("crate::service::tailed::Tailed")
        .codec_path("crate::service::tailed::TailCodec")
        .server_streaming();
    let query = [
        tail,
        unary("list_tasks", "ListTasks", "ListTasksRequest", "ListTasksResponse"),
        unary("get_task", "GetTask", "GetTaskRequest", "Task"),
    ];
    let entries = method_of("stream_logs", "StreamLogs", "crate::service::EncodedEntry")
        .output_type("crate::service::EntryResponse")
        .codec_path("crate::service::entry_codec::EntryCodec")
        .client_streaming()
        .server_streaming();
    let batches = method("stream_log_batches", "StreamLogBatches", "LogBatch")
        .output_type(message("LogResponse"))
        .codec_path(SLIM)
        .client_streaming()
        .server_streaming();
    let streaming = [
        unary("register_worker", "RegisterWorker", "WorkerRegistration", "RegistrationResponse"),
        entries,
        batches,
        unary("upload_logs", "UploadLogs", "LogBatch", "UploadSummary").client_streaming(),
        unary("complete_worker", "CompleteWorker", "WorkerCompletion", "CompletionResponse"),
    ];
    let services = [service("LogQueryService", query), service("LogStreamingService", streaming)];
    Builder::new().build_client(false).compile(&services);
}

fn service<const N: usize>(name: &str, methods: [MethodBuilder; N]) -> Service {
    let service = Service::builder().name(name).package("ottoscaler.v1");
    methods.into_iter().fold(service, |service, method| service.method(method.build())).build()
}

fn unary(name: &str, route: &str, input: &str, output: &str) -> MethodBuilder {
    method(name, route, input).output_type(message(output)).codec_path(PROST)
}

fn method(name: &str, route: &str, input: &str) -> MethodBuilder {
    method_of(name, route, &message(input))
}

/// Of a type of our own.
fn method_of(name: &str, route: &str, input: &str) -> MethodBuilder {
    Method::builder().name(name).route_name(route).input_type(input)
}

fn message(name: &str) -> String {
    format!("ottoscaler_proto::v1::{name}")
}
