//! Codings of a body that was compressed beforehand, and which of them a client takes.

use std::io::{self, Write};

use axum::http::{HeaderMap, HeaderValue, header};
use flate2::write::GzEncoder;

/// Above it, what is saved is less than what it costs the start.
const ZSTD_LEVEL: i32 = 15;

/// How a body is coded, from least to most preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

impl Coding {
    pub(super) const ALL: [Self; 3] = [Self::Identity, Self::Gzip, Self::Zstd];

    /// As `Content-Encoding` says it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// None where the body is as it is.
    pub(super) fn header(self) -> Option<HeaderValue> {
        (self != Self::Identity).then(|| HeaderValue::from_static(self.name()))
    }

    /// The body in this coding.
    pub(super) fn encode(self, body: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(body.to_vec()),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
                encoder.write_all(body)?;
                encoder.finish()
            }
            // Told the size: for a stream, whose end nobody knows, this level takes 64 MiB.
            Self::Zstd => zstd::bulk::compress(body, ZSTD_LEVEL),
        }
    }

    /// The one that a client likes most; as it is, where it takes none or does not say.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let said = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let offers: Vec<_> = said.flat_map(|value| value.split(',')).filter_map(Offer::parse).collect();
        let rank = |coding: Self| {
            let named = offers.iter().find(|offer| offer.name.eq_ignore_ascii_case(coding.name()));
            named.or_else(|| offers.iter().find(|offer| offer.name == "*")).map_or(0, |offer| offer.quality)
        };
        let liked = Self::ALL.into_iter().filter(|coding| rank(*coding) > 0);
        liked.max_by_key(|coding| (rank(*coding), *coding)).unwrap_or(Self::Identity)
    }
}

/// One element of `Accept-Encoding`.
struct Offer<'a> {
    name: &'a str,
    /// In thousandths.
    quality: u32,
}

impl<'a> Offer<'a> {
    /// None where it says nothing that is understood.
    fn parse(element: &'a str) -> Option<Self> {
        let (name, parameter) = element.split_once(';').unwrap_or((element, "q=1"));
        let (key, value) = parameter.split_once('=')?;
        let quality: f32 = value.trim().parse().ok().filter(|_| key.trim().eq_ignore_ascii_case("q"))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 1000")]
        let quality = (quality.clamp(0.0, 1.0) * 1000.0) as u32;
        Some(Self { name: name.trim(), quality })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_the_coding_that_it_likes_most() {
        for (said, coding) in [
            ("gzip, deflate, br, zstd", Coding::Zstd),
            ("gzip, deflate, br", Coding::Gzip),
            ("GZIP;q=0.9, zstd;q=0.5", Coding::Gzip),
            ("zstd;q=0, gzip;q=0", Coding::Identity),
            ("*", Coding::Zstd),
            ("zstd;q=0, *;q=0.1", Coding::Gzip),
            ("identity, gzip;q=0.5", Coding::Identity),
            ("br", Coding::Identity),
            ("", Coding::Identity),
            ("gzip;q=high, zstd ; q=0.001", Coding::Zstd),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, said.parse().unwrap())]);
            assert_eq!(Coding::accepted(&headers), coding, "{said:?}");
        }
        assert_eq!(Coding::accepted(&HeaderMap::new()), Coding::Identity);
    }

    #[test]
    fn what_was_coded_is_decoded_to_the_same() {
        let body = "the same line again and again\n".repeat(100);
        let gzip = Coding::Gzip.encode(body.as_bytes()).unwrap();
        let zstd = Coding::Zstd.encode(body.as_bytes()).unwrap();
        assert!(gzip.len() < body.len() / 10 && zstd.len() < body.len() / 10);
        let mut decoded = String::new();
        io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*gzip), &mut decoded).unwrap();
        assert_eq!(decoded, body);
        assert_eq!(zstd::decode_all(&*zstd).unwrap(), body.as_bytes());
    }
}
