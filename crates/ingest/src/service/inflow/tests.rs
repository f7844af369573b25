use futures::FutureExt;
use futures::future::poll_fn;
use prometheus_client::registry::Registry;
use proptest::collection::vec;
use proptest::prelude::*;
use tonic::Code;

use super::room::{DEADLINE, ROOM};
use super::*;
use crate::reason::Retry;

const MAX_MESSAGE: usize = 8 << 20;

/// Pieces of a body, and whether it ends behind them; if not, nothing more comes.
struct Pieces(std::vec::IntoIter<Bytes>, bool);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.0.next() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None if self.1 => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

fn inflow() -> Inflow {
    Inflow::new(MAX_MESSAGE, Metrics::register(&mut Registry::default()))
}

/// A message of `length` bytes, of which so many come.
fn begun(inflow: &Inflow, length: usize, come: usize) -> Body {
    const SOME: &[u8] = &[0; 16 << 10];
    let head = [&[0], &u32::try_from(length).unwrap().to_be_bytes()[..]].concat();
    let sizes = (0..come).step_by(SOME.len()).map(|at| SOME.len().min(come - at));
    let pieces = std::iter::once(head.into()).chain(sizes.map(|size| Bytes::from_static(&SOME[..size])));
    inflow.bounded(Body::new(Pieces(pieces.collect::<Vec<_>>().into_iter(), false)))
}

/// What there is to read now: how many bytes, and how it ended, if it did.
fn read(body: &mut Body) -> (usize, Option<Code>) {
    let mut bytes = 0;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).now_or_never() {
        match frame.unwrap() {
            Ok(frame) => bytes += frame.into_data().unwrap().len(),
            Err(status) => return (bytes, Some(status.code())),
        }
    }
    (bytes, None)
}

#[tokio::test]
async fn p6_of_messages_that_never_end_the_first_give_their_room_to_those_that_do() {
    let inflow = inflow();
    let mut bodies: Vec<_> = (0..30).map(|_| begun(&inflow, MAX_MESSAGE, MAX_MESSAGE - 1)).collect();
    for body in &mut bodies {
        assert_eq!(read(body), (0, None));
        assert!(inflow.room.taken() <= ROOM);
    }
    let whole = 256 << 10;
    assert_eq!(read(&mut begun(&inflow, whole, whole)), (HEAD + whole, None), "there is room");
    let ends: Vec<_> = bodies.iter_mut().map(read).collect();
    let given_up = ends.iter().take_while(|end| **end == (0, Some(Code::ResourceExhausted))).count();
    assert!((22..26).contains(&given_up), "{ends:?}");
    assert!(ends[given_up..].iter().all(|end| *end == (0, None)), "{ends:?}");
    assert_eq!(inflow.room.metrics().retried(Retry::QueueFull), given_up as u64);
    drop(bodies);
    assert_eq!(inflow.room.taken(), 0);
}

#[tokio::test]
async fn p6_what_is_announced_takes_no_room_until_it_comes() {
    let inflow = inflow();
    let mut bodies: Vec<_> = (0..1000).map(|_| begun(&inflow, MAX_MESSAGE, 1)).collect();
    assert!(bodies.iter_mut().map(read).all(|end| end == (0, None)));
    assert!(inflow.room.taken() < 1 << 20, "{}", inflow.room.taken());
    assert_eq!(read(&mut begun(&inflow, MAX_MESSAGE, MAX_MESSAGE)), (HEAD + MAX_MESSAGE, None));
    assert_eq!(
        read(&mut begun(&inflow, MAX_MESSAGE + 1, 100)),
        (HEAD + 100, None),
        "it is refused elsewhere"
    );
}

#[tokio::test(start_paused = true)]
async fn p6_a_message_that_is_late_is_let_go_of_though_nobody_asks_for_more() {
    let inflow = inflow();
    let (mut late, mut small) = (begun(&inflow, MAX_MESSAGE, MAX_MESSAGE / 2), begun(&inflow, FREE, 1));
    assert_eq!((read(&mut late), read(&mut small)), ((0, None), (0, None)));
    assert!(inflow.room.taken() >= MAX_MESSAGE / 2);
    let at_end = tokio::time::timeout(DEADLINE + 2 * TICK, inflow.watch());
    assert!(at_end.await.is_err());
    assert_eq!(inflow.room.taken(), 0);
    assert_eq!(read(&mut late), (0, Some(Code::DeadlineExceeded)));
    assert_eq!(inflow.room.metrics().late_messages.get(), 1);
    assert_eq!(read(&mut small), (0, None), "it is the stream's own");
}

#[tokio::test(start_paused = true)]
async fn p6_whoever_waits_for_a_message_that_is_late_is_told() {
    let inflow = inflow();
    let mut late = begun(&inflow, MAX_MESSAGE, 1);
    let end = poll_fn(|cx| Pin::new(&mut late).poll_frame(cx));
    tokio::select! {
        end = end => assert_eq!(end.unwrap().unwrap_err().code(), Code::DeadlineExceeded),
        never = inflow.watch() => match never {},
    }
}

proptest! {
    #[test]
    fn whole_messages_come_out_however_their_bytes_come(
        lengths in vec(prop_oneof![0..20_usize, FREE - 2..FREE + 3, 0..40_000_usize], 1..8),
        size in prop_oneof![1..10_usize, 1..50_000_usize],
        cut in 0..10_usize,
    ) {
        let (mut sent, mut ends) = (Vec::new(), vec![0]);
        for (at, length) in lengths.into_iter().enumerate() {
            sent.push(0);
            sent.extend(u32::try_from(length).unwrap().to_be_bytes());
            sent.resize(sent.len() + length, u8::try_from(at).unwrap());
            ends.push(sent.len());
        }
        sent.truncate(sent.len() - cut.min(sent.len()));
        let pieces: Vec<_> = sent.chunks(size).map(Bytes::copy_from_slice).collect();
        let inflow = inflow();
        let mut body = inflow.bounded(Body::new(Pieces(pieces.into_iter(), true)));
        let mut got = Vec::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).now_or_never().expect("all is there") {
            got.extend(frame.unwrap().into_data().unwrap());
            prop_assert!(ends.contains(&got.len()) || got.len() == sent.len(), "{} of {:?}", got.len(), ends);
        }
        prop_assert_eq!(got, sent);
        prop_assert_eq!(inflow.room.taken(), 0);
    }
}
