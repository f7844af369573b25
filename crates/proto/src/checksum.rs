//! The checksums of the contract: what `log_streaming.proto` says of `crc32c`, in Rust.

use crate::v1::{
    CompletionResponse, LogBatch, LogResponse, RegistrationResponse, UploadSummary, WorkerCompletion,
    WorkerRegistration,
};

/// Numbers gather before they are summed: the checksum of a few bytes costs as much as that of many.
const STAGED: usize = 512;

/// A message that can say whether it is as it was sent.
pub trait Checked: Sized {
    /// Of what it holds now.
    fn checksum(&self) -> u32;

    /// The field.
    fn crc32c(&mut self) -> &mut Option<u32>;

    /// What the field says.
    fn carried(&self) -> Option<u32>;

    /// With its checksum, as it is to be sent.
    #[must_use]
    fn sealed(mut self) -> Self {
        *self.crc32c() = Some(self.checksum());
        self
    }

    /// False where it was changed on the way. A message without a checksum is taken as it is.
    fn is_intact(&self) -> bool {
        self.carried().is_none_or(|carried| carried == self.checksum())
    }
}

/// Whether the messages of one stream are as they were sent. Once one had a checksum all must have it, or a
/// change of the field's own tag would turn the check off.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checks {
    expected: bool,
}

impl Checks {
    /// Looks at the stream's next message.
    pub fn holds(&mut self, message: &impl Checked) -> bool {
        let is_intact = message.is_intact() && (message.carried().is_some() || !self.expected);
        self.expected |= is_intact && message.carried().is_some();
        is_intact
    }
}

/// The checksum of a batch without its worker's id, which comes last: so a batch that is sent again, or is
/// kept meanwhile, need not be summed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body(u32);

impl Body {
    /// Of a batch, whosever it is.
    pub fn of(batch: &LogBatch) -> Self {
        let mut sum = Sum::default();
        sum.numbers([batch.first_sequence, batch.base_time_ns]);
        sum.column(&batch.time_deltas_ns);
        sum.column(&batch.lengths);
        sum.column(&batch.sources);
        sum.column(&batch.flags);
        sum.bytes(&batch.data);
        let gap = batch.gap.as_ref();
        sum.number(gap.map_or(0, |gap| gap.last_sequence));
        sum.bytes(gap.map_or(&[], |gap| gap.reason.as_bytes()));
        Self(sum.finish())
    }

    /// The batch's checksum.
    pub fn of_worker(self, worker_id: &str) -> u32 {
        let mut sum = Sum::after(self.0);
        sum.bytes(worker_id.as_bytes());
        sum.finish()
    }
}

/// A checksum that still grows.
struct Sum {
    crc: u32,
    staged: [u8; STAGED],
    filled: usize,
}

impl Default for Sum {
    fn default() -> Self {
        Self::after(0)
    }
}

impl Sum {
    /// Of what has this checksum, and more.
    const fn after(crc: u32) -> Self {
        Self { crc, staged: [0; STAGED], filled: 0 }
    }

    fn number(&mut self, number: impl Into<i64>) {
        if self.filled == STAGED {
            self.flush();
        }
        self.staged[self.filled..self.filled + 8].copy_from_slice(&number.into().to_le_bytes());
        self.filled += 8;
    }

    fn numbers<const N: usize>(&mut self, numbers: [i64; N]) {
        for number in numbers {
            self.number(number);
        }
    }

    fn length(&mut self, length: usize) {
        self.number(i64::try_from(length).expect("nothing in memory is longer"));
    }

    fn column<T: Copy + Into<i64>>(&mut self, values: &[T]) {
        self.length(values.len());
        for value in values {
            self.number(*value);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.flush();
        self.crc = crc32c::crc32c_append(self.crc, bytes);
    }

    fn flush(&mut self) {
        self.crc = crc32c::crc32c_append(self.crc, &self.staged[..self.filled]);
        self.filled = 0;
    }

    fn finish(mut self) -> u32 {
        self.flush();
        self.crc
    }
}

/// What a message sums up is all that differs between them.
macro_rules! checked {
    ($message:ty, |$this:ident, $sum:ident| $body:block) => {
        impl Checked for $message {
            fn checksum(&self) -> u32 {
                let ($this, mut $sum) = (self, Sum::default());
                $body
                $sum.finish()
            }

            fn crc32c(&mut self) -> &mut Option<u32> {
                &mut self.crc32c
            }

            fn carried(&self) -> Option<u32> {
                self.crc32c
            }
        }
    };
}

impl Checked for LogBatch {
    fn checksum(&self) -> u32 {
        Body::of(self).of_worker(&self.worker_id)
    }

    fn crc32c(&mut self) -> &mut Option<u32> {
        &mut self.crc32c
    }

    fn carried(&self) -> Option<u32> {
        self.crc32c
    }
}

checked!(LogResponse, |response, sum| {
    sum.number(response.status);
    sum.bytes(response.message.as_bytes());
    sum.number(response.sequence);
});

checked!(WorkerRegistration, |registration, sum| {
    sum.bytes(registration.worker_id.as_bytes());
    sum.bytes(registration.task_id.as_bytes());
    sum.number(registration.attempt);
    sum.bytes(&registration.incarnation);
});

checked!(RegistrationResponse, |response, sum| {
    let config = response.config.unwrap_or_default();
    sum.number(response.status);
    sum.bytes(response.message.as_bytes());
    sum.bytes(response.session_id.as_bytes());
    sum.number(response.last_sequence);
    sum.number(config.rate_limit);
    sum.number(config.buffer_size);
    sum.number(config.max_message_size);
    sum.number(config.include_metadata);
});

checked!(UploadSummary, |summary, sum| {
    sum.numbers([summary.last_sequence, summary.lines, summary.duplicates, summary.dropped]);
});

checked!(WorkerCompletion, |completion, sum| {
    sum.bytes(completion.worker_id.as_bytes());
    sum.number(completion.exit_code);
    sum.number(completion.signal);
    sum.numbers([completion.last_sequence, completion.lines, completion.bytes]);
    sum.bytes(completion.reason.as_bytes());
});

checked!(CompletionResponse, |response, sum| {
    sum.number(response.complete);
    sum.bytes(response.message.as_bytes());
    sum.length(response.missing.len());
    for range in &response.missing {
        sum.numbers([range.first, range.last]);
    }
});

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;

    use super::*;
    use crate::v1::{Gap, LoggingConfig, SequenceRange};

    fn batch() -> LogBatch {
        LogBatch {
            worker_id: "build-1".into(),
            first_sequence: 5,
            base_time_ns: 1_700_000_000_000_000_000,
            time_deltas_ns: vec![0, 10, -5],
            lengths: vec![2, 0, 3],
            sources: vec![2],
            flags: vec![0, 1, 2],
            data: Bytes::from_static(b"abcde"),
            ..LogBatch::default()
        }
    }

    fn gap() -> LogBatch {
        let gap = Some(Gap { last_sequence: 9, reason: "buffer_full".into() });
        LogBatch { worker_id: "build-1".into(), first_sequence: 5, gap, ..LogBatch::default() }
    }

    fn response() -> LogResponse {
        let message = "reason=gap;retry_after_ms=0".into();
        LogResponse { status: 1, message, sequence: 7, crc32c: None }
    }

    fn registration() -> WorkerRegistration {
        WorkerRegistration {
            worker_id: "build-1".into(),
            task_id: "build".into(),
            attempt: 2,
            incarnation: Bytes::from_static(b"\x00\xff"),
            ..WorkerRegistration::default()
        }
    }

    fn registered() -> RegistrationResponse {
        let config =
            LoggingConfig { rate_limit: 3, buffer_size: 4, max_message_size: 5, include_metadata: true };
        RegistrationResponse {
            status: 1,
            session_id: "s".into(),
            config: Some(config),
            last_sequence: 6,
            ..RegistrationResponse::default()
        }
    }

    fn completion() -> WorkerCompletion {
        WorkerCompletion {
            worker_id: "build-1".into(),
            exit_code: 137,
            signal: 9,
            last_sequence: 7,
            lines: 8,
            bytes: 9,
            reason: "flush_timeout".into(),
            crc32c: None,
            exit_code_unknown: false,
        }
    }

    fn completed() -> CompletionResponse {
        let missing = vec![SequenceRange { first: 1, last: 2 }];
        CompletionResponse { complete: false, missing, message: "m".into(), crc32c: None }
    }

    fn summary() -> UploadSummary {
        UploadSummary { last_sequence: 1, lines: 2, duplicates: 3, dropped: 4, crc32c: None }
    }

    /// What any other language has to come to. The figures are those of a few lines of Python.
    #[test]
    fn the_checksums_are_those_that_the_contract_describes() {
        let sums = [
            ("batch", batch().checksum(), 0x1348_cb2a),
            ("gap", gap().checksum(), 0xf801_1f27),
            ("response", response().checksum(), 0x44b3_ef31),
            ("registration", registration().checksum(), 0x17ec_1c95),
            ("registered", registered().checksum(), 0x2147_ecb7),
            ("completion", completion().checksum(), 0x3dd5_f14f),
            ("completed", completed().checksum(), 0x24d1_6531),
            ("summary", summary().checksum(), 0xf4a1_f712),
        ];
        for (name, sum, expected) in sums {
            assert_eq!(sum, expected, "{name}: {sum:#010x} instead of {expected:#010x}");
        }
    }

    /// Any flip of one bit of the encoded message is found, or changes nothing that the checksum covers.
    fn finds_every_flip<M: Checked + Message + Default + PartialEq + std::fmt::Debug>(message: M) {
        let sealed = message.sealed();
        let encoded = sealed.encode_to_vec();
        let mut checks = Checks::default();
        assert!(checks.holds(&sealed));
        for bit in 0..encoded.len() * 8 {
            let mut flipped = encoded.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let Ok(read) = M::decode(&*flipped) else { continue };
            assert!(read == sealed || !checks.holds(&read), "bit {bit}: {read:?}");
        }
    }

    #[test]
    fn no_flipped_bit_goes_unseen() {
        finds_every_flip(batch());
        finds_every_flip(gap());
        finds_every_flip(response());
        finds_every_flip(registration());
        finds_every_flip(registered());
        finds_every_flip(completion());
        finds_every_flip(completed());
        finds_every_flip(summary());
    }

    #[test]
    fn columns_that_are_longer_than_the_stage_are_summed_whole() {
        let lengths: Vec<u32> = (0..1000).collect();
        let long = LogBatch { lengths, ..batch() };
        let mut other = long.clone();
        for at in [0, 63, 64, 999] {
            other.lengths[at] += 1;
            assert_ne!(long.checksum(), other.checksum(), "the value at {at}");
            other.lengths[at] -= 1;
        }
    }

    #[test]
    fn a_stream_without_checksums_is_taken_as_it_is_until_one_comes() {
        let mut checks = Checks::default();
        assert!(checks.holds(&batch()));
        assert!(checks.holds(&batch().sealed()));
        assert!(!checks.holds(&batch()));
        assert!(checks.holds(&batch().sealed()));
    }
}
