//! The codec of StreamLogs, where each line is a message and each answer as well. An entry stays in the buffer
//! that it was received in until [`crate::parse::walk`] reads it, and a plain ACK is written without a message
//! being made of it.

use bytes::{Buf, BufMut, Bytes};
use ottoscaler_proto::v1::LogResponse;
use prost::Message;
use prost::encoding::encode_varint;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::slim;
use crate::line::Sequence;

/// The key of `LogResponse.sequence`: its number, and that a varint follows.
const SEQUENCE: u8 = 3 << 3;

/// An encoded `LogEntry`.
#[derive(Clone, Debug)]
pub struct EncodedEntry(pub Bytes);

/// A `LogResponse`.
#[derive(Clone, Debug, PartialEq)]
pub enum EntryResponse {
    /// This line is durable.
    Ack(Sequence),
    /// Whatever else there is to say.
    Other(LogResponse),
}

/// Entries in, responses out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EntryCodec;

impl Codec for EntryCodec {
    type Encode = EntryResponse;
    type Decode = EncodedEntry;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Decoder for EntryCodec {
    type Item = EncodedEntry;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<EncodedEntry>, Status> {
        Ok(Some(EncodedEntry(buffer.copy_to_bytes(buffer.remaining()))))
    }

    fn buffer_settings(&self) -> BufferSettings {
        slim::buffers()
    }
}

impl Encoder for EntryCodec {
    type Item = EntryResponse;
    type Error = Status;

    fn encode(&mut self, response: EntryResponse, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        encode(&response, buffer)
    }

    fn buffer_settings(&self) -> BufferSettings {
        slim::buffers()
    }
}

fn encode(response: &EntryResponse, buffer: &mut impl BufMut) -> Result<(), Status> {
    match response {
        // As prost does, what has its default is not there at all.
        EntryResponse::Ack(Sequence::ZERO) => Ok(()),
        EntryResponse::Ack(sequence) => {
            buffer.put_u8(SEQUENCE);
            encode_varint(sequence.get(), buffer);
            Ok(())
        }
        EntryResponse::Other(message) => {
            message.encode(buffer).map_err(|error| Status::internal(format!("no room: {error}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::service::wire;

    proptest! {
        #[test]
        fn a_plain_ack_has_the_bytes_that_prost_gives_it(sequence in 0..=i64::MAX.cast_unsigned()) {
            let sequence = Sequence::new(sequence);
            let mut encoded = Vec::new();
            encode(&EntryResponse::Ack(sequence), &mut encoded).unwrap();
            prop_assert_eq!(encoded, wire::ack(sequence).encode_to_vec());
        }
    }
}
