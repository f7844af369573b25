//! A host's addresses, found without the C library.
//!
//! That one loads modules to resolve names, and a program that is linked statically would load those of
//! whatever image it runs in: of another version, of another C library, or none. Here `/etc/hosts` and then
//! the servers of `/etc/resolv.conf` are asked, with its search domains and its `ndots`, which is all that
//! Kubernetes sets. Both files are read anew each time, and each may be missing.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use hickory_resolver::config::{
    LookupIpStrategy, ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use hickory_resolver::{Hosts, TokioResolver};
use thiserror::Error;
use tracing::subscriber::{NoSubscriber, with_default};

/// How long one server is waited for, twice at the most: well below [`TIMEOUT`].
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);

/// All servers, all search domains.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A host with more has enough of them.
const MOST_ADDRESSES: usize = 16;

/// Answers that one look-up may hold at a time; none is kept for the next one.
const CACHED: u64 = 32;

/// There is no address for it.
#[derive(Debug, Error)]
#[error("cannot resolve {host}: {why}")]
pub struct NotResolved {
    host: String,
    why: String,
}

/// Where names are looked up.
#[derive(Debug)]
pub struct Resolver {
    hosts: PathBuf,
    resolv_conf: PathBuf,
    /// Of the servers that `resolv_conf` names, if it is not the usual one.
    port: Option<u16>,
}

impl Default for Resolver {
    /// As the machine, or the container, is set up.
    fn default() -> Self {
        Self { hosts: "/etc/hosts".into(), resolv_conf: "/etc/resolv.conf".into(), port: None }
    }
}

impl Resolver {
    /// The addresses of a host as it stands in a URL, at least one: IPv4 first.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NotResolved> {
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = literal.parse() {
            return Ok(vec![address]);
        }
        let failed = |why: String| NotResolved { host: host.to_owned(), why };
        let name = Name::from_str_relaxed(host).map_err(|error| failed(error.to_string()))?;
        let written_down = self.in_hosts(&name);
        if !written_down.is_empty() {
            return Ok(written_down);
        }
        let asked = tokio::time::timeout(TIMEOUT, self.ask(name)).await;
        let found = asked.map_err(|_| failed(format!("no answer within {TIMEOUT:?}")))?;
        found.map_err(|error| failed(why(&error)))
    }

    /// What cannot be read says nothing.
    fn in_hosts(&self, name: &Name) -> Vec<IpAddr> {
        let mut hosts = Hosts::default();
        let content = fs::read(&self.hosts).unwrap_or_default();
        let content = String::from_utf8_lossy(&content);
        // From memory, so there is no error; what is wrong with a line is nothing to say at each connection.
        let _read = with_default(NoSubscriber::default(), || hosts.read_hosts_conf(content.as_bytes()));
        let of = |kind| {
            let found = hosts.lookup_static_host(&Query::query(name.clone(), kind));
            found.into_iter().flat_map(|found| {
                found.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>()
            })
        };
        [RecordType::A, RecordType::AAAA].into_iter().flat_map(of).take(MOST_ADDRESSES).collect()
    }

    async fn ask(&self, name: Name) -> Result<Vec<IpAddr>, NetError> {
        let (config, options) = self.configuration()?;
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let found = builder.build()?.lookup_ip(name).await?;
        let addresses: Vec<_> = found.iter().take(MOST_ADDRESSES).collect();
        if addresses.is_empty() { Err(io::Error::other("it has no address").into()) } else { Ok(addresses) }
    }

    fn configuration(&self) -> Result<(ResolverConfig, ResolverOpts), NetError> {
        let text = fs::read(&self.resolv_conf).unwrap_or_default();
        // As resolv.conf(5) has it: without a server named there is one on this machine.
        let with_local = || parse_resolv_conf([text.as_slice(), b"\nnameserver 127.0.0.1\n"].concat());
        // What it does not understand of the file is nothing to say at each connection.
        let parsed =
            with_default(NoSubscriber::default(), || parse_resolv_conf(&text).or_else(|_| with_local()));
        let (mut config, mut options) = parsed?;
        let connections = config.name_servers.iter_mut().flat_map(|server| &mut server.connections);
        for (connection, port) in connections.zip(self.port.into_iter().cycle()) {
            connection.port = port;
        }
        options.use_hosts_file = ResolveHosts::Never;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
        options.cache_size = CACHED;
        // A server that answers one kind of address and is silent about the other must not cost the one it gave.
        options.timeout = options.timeout.min(SERVER_TIMEOUT);
        options.attempts = options.attempts.min(1);
        // Else two servers that are gone would hide the third.
        options.num_concurrent_reqs = config.name_servers.len().max(1);
        Ok((config, options))
    }
}

/// What the library says of a name without an address is a query of its own.
fn why(error: &NetError) -> String {
    if error.is_no_records_found() { "no such host".to_owned() } else { error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tempfile::TempDir;
    use tokio::net::UdpSocket;
    use tokio::task::JoinSet;

    use super::*;

    /// Answers of one name server: the names that it knows, and what it was asked.
    struct NameServer {
        port: u16,
        asked: Arc<Mutex<Vec<String>>>,
        _serving: JoinSet<()>,
    }

    const A: u16 = 1;
    const AAAA: u16 = 28;

    impl NameServer {
        async fn start(known: &'static [(&'static str, IpAddr)]) -> Self {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let port = socket.local_addr().unwrap().port();
            let asked = Arc::new(Mutex::new(Vec::new()));
            let (heard, mut serving) = (Arc::clone(&asked), JoinSet::new());
            serving.spawn(async move {
                let mut query = [0; 512];
                while let Ok((length, from)) = socket.recv_from(&mut query).await {
                    let (name, kind, question) = question(&query[..length]);
                    heard.lock().unwrap().push(name.clone());
                    let reply = reply(&query[..2], question, answers(known, &name, kind).as_deref());
                    socket.send_to(&reply, from).await.unwrap();
                }
            });
            Self { port, asked, _serving: serving }
        }

        fn asked(&self) -> Vec<String> {
            let mut asked = self.asked.lock().unwrap().clone();
            asked.dedup();
            asked
        }
    }

    /// Name, type, and the bytes of both.
    fn question(query: &[u8]) -> (String, u16, &[u8]) {
        let (mut at, mut labels) = (12, Vec::new());
        while query[at] > 0 {
            let end = at + 1 + usize::from(query[at]);
            labels.push(String::from_utf8(query[at + 1..end].to_vec()).unwrap().to_lowercase());
            at = end;
        }
        let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
        (labels.join("."), kind, &query[12..at + 5])
    }

    /// Addresses of this type; nothing where there is no such name.
    fn answers(known: &[(&str, IpAddr)], name: &str, kind: u16) -> Option<Vec<Vec<u8>>> {
        let mut of_name = known.iter().filter(|(other, _)| *other == name).peekable();
        of_name.peek()?;
        let of_type = of_name.filter_map(|(_, address)| match address {
            IpAddr::V4(address) if kind == A => Some(address.octets().to_vec()),
            IpAddr::V6(address) if kind == AAAA => Some(address.octets().to_vec()),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        });
        Some(of_type.collect())
    }

    fn reply(id: &[u8], question: &[u8], answers: Option<&[Vec<u8>]>) -> Vec<u8> {
        let no_such_name = if answers.is_none() { 3 } else { 0 };
        let answers = answers.unwrap_or_default();
        let count = u8::try_from(answers.len()).unwrap();
        let mut reply = [id, &[0x81, 0x80 | no_such_name, 0, 1, 0, count, 0, 0, 0, 0], question].concat();
        for address in answers {
            let kind = if address.len() == 4 { A } else { AAAA };
            reply.extend([0xc0, 12]);
            reply.extend(kind.to_be_bytes());
            reply.extend([0, 1, 0, 0, 0, 60, 0, u8::try_from(address.len()).unwrap()]);
            reply.extend(address);
        }
        reply
    }

    const KNOWN: &[(&str, IpAddr)] = &[
        ("log-ingest.ci.svc.cluster.local", IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 2, 3))),
        ("log-ingest.ci.svc.cluster.local", IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)),
        ("ingest.example.com", IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)),
    ];

    /// As the kubelet writes it.
    const IN_A_POD: &str = "search ci.svc.cluster.local svc.cluster.local cluster.local\n\
        nameserver 127.0.0.1\noptions ndots:5 something-new\n";

    async fn resolver(resolv_conf: &str) -> (Resolver, NameServer, TempDir) {
        let (server, dir) = (NameServer::start(KNOWN).await, TempDir::new().unwrap());
        let resolver = Resolver {
            hosts: dir.path().join("hosts"),
            resolv_conf: dir.path().join("resolv.conf"),
            port: Some(server.port),
        };
        fs::write(&resolver.resolv_conf, resolv_conf).unwrap();
        (resolver, server, dir)
    }

    fn parsed(addresses: &[&str]) -> Vec<IpAddr> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_service_of_a_cluster_is_found_by_its_short_name_with_both_kinds_of_addresses() {
        let (resolver, server, _dir) = resolver(IN_A_POD).await;
        assert_eq!(resolver.addresses("log-ingest").await.unwrap(), parsed(&["10.1.2.3", "::1"]));
        assert_eq!(server.asked(), ["log-ingest.ci.svc.cluster.local"]);
        let by_two = resolver.addresses("log-ingest.ci").await.unwrap();
        assert_eq!(by_two, parsed(&["10.1.2.3", "::1"]));
        assert!(server.asked().contains(&"log-ingest.ci.ci.svc.cluster.local".to_owned()));
    }

    #[tokio::test]
    async fn a_name_outside_is_found_after_the_search_domains_or_at_once_where_it_ends_in_a_dot() {
        let (resolver, server, _dir) = resolver(IN_A_POD).await;
        assert_eq!(resolver.addresses("ingest.example.com.").await.unwrap(), parsed(&["::"]));
        assert_eq!(server.asked(), ["ingest.example.com"]);
        assert_eq!(resolver.addresses("ingest.example.com").await.unwrap(), parsed(&["::"]));
        assert_eq!(server.asked().last().map(String::as_str), Some("ingest.example.com"));
        assert!(server.asked().contains(&"ingest.example.com.svc.cluster.local".to_owned()));
    }

    #[tokio::test]
    async fn what_nobody_knows_is_said_by_name() {
        let (resolver, _server, _dir) = resolver(IN_A_POD).await;
        let error = resolver.addresses("nowhere").await.unwrap_err().to_string();
        assert!(error.starts_with("cannot resolve nowhere: "), "{error}");
    }

    #[tokio::test]
    async fn addresses_and_what_the_hosts_file_says_need_no_server() {
        let (resolver, server, _dir) = resolver(IN_A_POD).await;
        fs::write(&resolver.hosts, b"# \xff\n10.9.8.7 Ingest other\nfd00::7 ingest\n").unwrap();
        assert_eq!(resolver.addresses("ingest").await.unwrap(), parsed(&["10.9.8.7", "fd00::7"]));
        assert_eq!(resolver.addresses("[fd00::1]").await.unwrap(), parsed(&["fd00::1"]));
        assert_eq!(resolver.addresses("127.0.0.1").await.unwrap(), parsed(&["127.0.0.1"]));
        assert_eq!(server.asked(), [""; 0]);
    }

    #[tokio::test]
    async fn an_image_without_these_files_knows_itself_and_asks_the_server_of_its_machine() {
        let (resolver, server, _dir) = resolver("").await;
        fs::remove_file(&resolver.resolv_conf).unwrap();
        assert!(resolver.addresses("localhost").await.unwrap().contains(&parsed(&["127.0.0.1"])[0]));
        assert_eq!(server.asked(), [""; 0]);
        assert_eq!(resolver.addresses("ingest.example.com").await.unwrap(), parsed(&["::"]));
    }
}
