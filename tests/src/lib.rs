//! The harness of the tests that run the whole system: real processes, a real redis-server, a proxy
//! that cuts connections, and an oracle that knows what every line has to be.

pub mod agent;
pub mod binary;
pub mod chatter;
pub mod cutter;
pub mod ingest;
pub mod oracle;
pub mod port;
pub mod redis_server;
pub mod scaler;
pub mod service;
pub mod wait;
