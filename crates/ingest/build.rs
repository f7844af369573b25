//! Generates the services' sides of the contract with codecs of our own, which `ottoscaler-proto` knows nothing
//! of: what many readers are told is encoded once, and streams that wait take little memory. And puts the built page
//! into the program.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use tonic_build::manual::{Builder, Method, MethodBuilder, Service};

const PROST: &str = "tonic_prost::ProstCodec";
const SLIM: &str = "crate::service::slim::SlimCodec";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("page_files.rs"), page_files()).expect("cargo made the directory");
    services();
}

/// Every file of the built page as an element of a table: its path below `web/dist`, and its bytes.
fn page_files() -> String {
    let dist = Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("web/dist");
    println!("cargo:rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    walk(&dist, &mut files);
    files.sort();
    let mut table = "&[\n".to_owned();
    for file in files {
        let name = file.strip_prefix(&dist).expect("it was found there");
        let element =
            format!("({:?}, include_bytes!({:?})),", name.to_string_lossy(), file.to_string_lossy());
        writeln!(table, "{element}").expect("a String takes everything");
    }
    table + "]"
}

/// All files below a directory.
fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    for entry in entries {
        let path = entry.expect("a directory that is read to its end").path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

fn services() {
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
