//! Connections to Redis: a shared one for commands, one of its own for each blocking reader.
//!
//! The shared one reconnects by itself and fails a command rather than hang. A reader that blocks
//! would hold up everything on a shared connection, and redis gives up waiting for an answer after
//! 500 ms unless told otherwise; so it gets its own, with a longer patience.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, RedisResult};

use crate::secret::Secret;

/// Within this a connection is made, or it is not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Within this Redis answers a command, or it has failed.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A failed command is decided about by its caller, so the connection itself tries once more only.
const RECONNECT_TRIES: usize = 1;

/// Makes connections.
#[derive(Clone, Debug)]
pub struct RedisLink {
    client: Client,
}

impl RedisLink {
    /// Reads the URL; connects to nothing yet.
    pub fn new(url: &Secret) -> RedisResult<Self> {
        Ok(Self { client: Client::open(url.expose())? })
    }

    /// Where Redis is, without credentials.
    pub fn address(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }

    /// A connection for commands that connects when it is first used and again when it is lost.
    pub fn commands(&self) -> RedisResult<ConnectionManager> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_number_of_retries(RECONNECT_TRIES);
        self.client.get_connection_manager_lazy(config)
    }

    /// A connection whose answers may take `block` and the usual time on top.
    pub async fn reader(&self, block: Duration) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(block + RESPONSE_TIMEOUT));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }
}
