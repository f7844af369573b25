//! Lines as bytes, written straight from their columns: most of what a store holds are lines, and no message has
//! to be made of them first. The bytes are those that prost makes of the message.

use prost::encoding::{encode_varint, encoded_len_varint};

use crate::line::{Lines, Sequence};

/// Keys of fields: the number, and how the value is encoded.
mod key {
    /// Of the record.
    pub(super) const AT_NS: u8 = 1 << 3;
    pub(super) const WORKER: u8 = 2 << 3 | BYTES;
    pub(super) const LINES: u8 = 4 << 3 | BYTES;
    /// Of its lines.
    pub(super) const FIRST: u8 = 1 << 3;
    pub(super) const SERVER_NUMBERED: u8 = 2 << 3;
    pub(super) const TIME_DELTAS_NS: u8 = 3 << 3 | BYTES;
    pub(super) const LENGTHS: u8 = 4 << 3 | BYTES;
    pub(super) const MARKS: u8 = 5 << 3 | BYTES;
    pub(super) const DATA: u8 = 6 << 3 | BYTES;

    /// A length, and so many bytes.
    const BYTES: u8 = 2;
}

/// Appends a record of `lines`, which have no extras, but for their data, which comes last.
pub(super) fn encode(
    at_ns: i64,
    worker: &str,
    first: Sequence,
    server_numbered: bool,
    lines: &Lines,
    out: &mut Vec<u8>,
) {
    let deltas = sum(deltas(lines).map(encoded_len_varint));
    let lengths = sum(lines.lengths.iter().map(|length| encoded_len_varint(u64::from(*length))));
    number(key::AT_NS, at_ns.cast_unsigned(), out);
    if !worker.is_empty() {
        length(key::WORKER, worker.len(), out);
        out.extend_from_slice(worker.as_bytes());
    }
    let numbers = number_len(first.get()) + number_len(server_numbered.into());
    let columns = [deltas, lengths, lines.marks.len(), lines.data.len()];
    length(key::LINES, numbers + sum(columns.map(column_len)), out);
    number(key::FIRST, first.get(), out);
    number(key::SERVER_NUMBERED, server_numbered.into(), out);
    length(key::TIME_DELTAS_NS, deltas, out);
    self::deltas(lines).for_each(|delta| encode_varint(delta, out));
    length(key::LENGTHS, lengths, out);
    lines.lengths.iter().for_each(|length| encode_varint(u64::from(*length), out));
    length(key::MARKS, lines.marks.len(), out);
    out.extend(lines.marks.iter().map(|mark| mark.byte()));
    if !lines.data.is_empty() {
        length(key::DATA, lines.data.len(), out);
    }
}

fn sum(lengths: impl IntoIterator<Item = usize>) -> usize {
    lengths.into_iter().sum()
}

/// What lies between times, each with its sign in the lowest bit.
fn deltas(lines: &Lines) -> impl Iterator<Item = u64> {
    super::deltas(&lines.times_ns).map(|delta| ((delta << 1) ^ (delta >> 63)).cast_unsigned())
}

/// A field that is its default is not there at all.
fn number(key: u8, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        out.push(key);
        encode_varint(value, out);
    }
}

fn number_len(value: u64) -> usize {
    if value == 0 { 0 } else { 1 + encoded_len_varint(value) }
}

fn length(key: u8, bytes: usize, out: &mut Vec<u8>) {
    out.push(key);
    encode_varint(bytes as u64, out);
}

/// Of a field of so many bytes.
fn column_len(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { 1 + encoded_len_varint(bytes as u64) + bytes }
}
