//! Server-sent events as a browser takes them.

use anyhow::{Context, Result};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::Value;

/// One event. Comments are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// `id`, where it has one.
    pub id: Option<String>,
    /// `event`, where it has a name.
    pub name: Option<String>,
    /// `data`.
    pub data: String,
}

impl Event {
    /// Its data, which is JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("data of events is JSON")
    }
}

/// One connection, and what a browser remembers of it.
pub struct Events {
    body: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    unread: Vec<u8>,
    /// The last `id`: where the next connection goes on.
    pub last_id: Option<String>,
    /// The last `retry`, in milliseconds.
    pub retry: Option<u64>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("last_id", &self.last_id).finish_non_exhaustive()
    }
}

impl Events {
    /// Opens `url` behind `last_id`.
    pub async fn open(url: &str, last_id: Option<&str>) -> Result<Self> {
        let mut request = reqwest::Client::new().get(url);
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await?.error_for_status()?;
        let media_type = response.headers().get("content-type").context("no media type")?;
        anyhow::ensure!(media_type == "text/event-stream", "{media_type:?}");
        let last_id = last_id.map(ToOwned::to_owned);
        Ok(Self { body: response.bytes_stream().boxed(), unread: Vec::new(), last_id, retry: None })
    }

    /// The next event; none at the end of the connection, and an error where that was cut.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            while let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
                let text: Vec<u8> = self.unread.drain(..end + 2).collect();
                if let Some(event) = self.take(std::str::from_utf8(&text)?) {
                    return Ok(Some(event));
                }
            }
            match self.body.next().await {
                Some(chunk) => self.unread.extend_from_slice(&chunk?),
                None => return Ok(None),
            }
        }
    }

    /// What a block of lines says; an event only where it has data.
    fn take(&mut self, text: &str) -> Option<Event> {
        let (mut event, mut has_data) = (Event::default(), false);
        for (field, value) in text.lines().filter_map(|line| line.split_once(": ")) {
            match field {
                "id" => event.id = Some(value.to_owned()),
                "event" => event.name = Some(value.to_owned()),
                "data" => (event.data, has_data) = (value.to_owned(), true),
                "retry" => self.retry = value.parse().ok(),
                _ => {}
            }
        }
        if event.id.is_some() {
            self.last_id.clone_from(&event.id);
        }
        has_data.then_some(event)
    }
}
