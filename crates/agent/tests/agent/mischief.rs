//! What a log-ingest may do wrong, or differently, as far as an agent can see.

/// What the server does with a batch, in place of storing it and acknowledging it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mischief {
    /// RETRY, `queue_full`.
    Retry,
    /// The same, to a batch of a flight that was asked for again already as well.
    RetryEach,
    /// RETRY, `rate_limited`, after 700 ms.
    RetryLater,
    /// RETRY, `disk_full`, after 300 ms.
    DiskFull,
    /// Stores it, and ends the stream with ABORTED before the ACK.
    StoreAndCut,
    /// Acknowledges it, forgets everything, and ends the stream.
    LoseAll,
    /// DROP for the batch's second line, as too large; the rest is stored.
    DropSecondLine,
    /// Says that nobody registered.
    NotRegistered,
    /// Never answers it, nor anything after it on this stream.
    Freeze,
    /// DROP, `log_closed`.
    Closed,
    /// Does not store it, and acknowledges it and much more.
    AckTooMuch,
    /// Does not store it, and its RETRY becomes an ACK on the way.
    Flip,
}
