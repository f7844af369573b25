//! Messages of tails that are encoded already.

use bytes::{BufMut, Bytes};
use ottoscaler_proto::v1::{TailRequest, TailResponse};
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic_prost::ProstDecoder;

/// One message of a tail.
#[derive(Clone, Debug)]
pub enum Tailed {
    /// An encoded `TailResponse`, shared by all who read it.
    Encoded(Bytes),
    /// For one reader alone.
    Own(TailResponse),
}

/// Requests as usual; responses may be encoded already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TailCodec;

/// See [`TailCodec`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct TailEncoder;

impl Codec for TailCodec {
    type Encode = Tailed;
    type Decode = TailRequest;
    type Encoder = TailEncoder;
    type Decoder = ProstDecoder<TailRequest>;

    fn encoder(&mut self) -> TailEncoder {
        TailEncoder
    }

    fn decoder(&mut self) -> ProstDecoder<TailRequest> {
        ProstDecoder::default()
    }
}

impl Encoder for TailEncoder {
    type Item = Tailed;
    type Error = Status;

    fn encode(&mut self, message: Tailed, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        match message {
            Tailed::Encoded(bytes) => {
                buffer.reserve(bytes.len());
                buffer.put(bytes);
                Ok(())
            }
            Tailed::Own(message) => {
                message.encode(buffer).map_err(|error| Status::internal(format!("no room: {error}")))
            }
        }
    }
}
