//! A codec for streams that wait for most of their lives: tonic's own gives each 8 KiB for what comes and 8 KiB
//! for what goes, from its first moment to its last.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// What a stream begins with; it grows with what is sent.
const BUFFER: usize = 1 << 10;

/// Messages that wait to be sent go together up to here; tonic's own value.
const YIELD: usize = 32 << 10;

/// Of each stream.
pub(super) fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER, YIELD)
}

/// Protobuf, with small buffers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlimCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for SlimCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for SlimCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(buffers())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(buffers())
    }
}
