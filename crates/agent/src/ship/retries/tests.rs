//! One agent alone.

use super::*;

const ASKED: Duration = Duration::from_millis(50);

const FULL: Option<&str> = Some("queue_full");

/// In units of which the least is one.
fn retries() -> Retries {
    Retries::new(64)
}

/// Waits after refusals of one flight after the other.
fn waits(retries: &mut Retries, reason: &str, asked: Duration, count: usize) -> Vec<u128> {
    let wait = |_| {
        retries.sent();
        retries.refused(Some(reason), asked, 0.0).as_millis()
    };
    (0..count).map(wait).collect()
}

#[test]
fn waits_double_until_lines_are_stored_and_are_short_where_room_comes_and_goes() {
    let mut retries = retries();
    assert_eq!(waits(&mut retries, "queue_full", ASKED, 5), [50, 100, 200, 250, 250]);
    assert_eq!(waits(&mut retries, "queue_full", 10 * ASKED, 1), [500], "no sooner than asked");
    retries.stored(1);
    assert_eq!(waits(&mut retries, "disk_full", ASKED, 7), [50, 100, 200, 400, 800, 1600, 2000]);
    assert_eq!(waits(&mut retries, "disk_full", 60 * ASKED, 1), [3000], "no sooner than asked");
}

#[test]
fn a_rate_names_the_moment_and_nobody_waits_for_longer() {
    assert_eq!(waits(&mut retries(), "rate_limited", ASKED, 4), [50; 4]);
}

#[test]
fn all_refusals_of_one_flight_are_one() {
    let mut retries = retries();
    retries.sent();
    for _ in 0..10 {
        assert_eq!(retries.refused(FULL, ASKED, 0.0), ASKED);
        assert_eq!(retries.window(), 32);
    }
    // Of the same flight, what was stored of it before.
    retries.stored(8);
    assert_eq!((retries.refused(FULL, ASKED, 0.0), retries.window()), (ASKED, 33));
}

#[test]
fn the_window_halves_down_to_one_batch_and_comes_back_step_by_step() {
    let mut retries = retries();
    let mut seen = Vec::new();
    for _ in 0..8 {
        retries.sent();
        retries.refused(FULL, ASKED, 0.0);
        seen.push(retries.window());
    }
    assert_eq!(seen, [32, 16, 8, 4, 2, 1, 1, 1]);
    let flights = (1..100).take_while(|_| {
        retries.stored(retries.window());
        retries.window() < 64
    });
    assert_eq!(flights.count() + 1, STEP, "as many flights as there are steps");
    assert_eq!(retries.window(), 64);
    retries.stored(64);
    assert_eq!(retries.window(), 64, "and no further");
}

#[test]
fn no_two_agents_come_back_in_the_same_moment() {
    let wait = |chance| retries().refused(FULL, ASKED, chance);
    assert!(wait(0.0) == ASKED && wait(0.5) > ASKED && wait(1.0) > wait(0.5) && wait(1.0) <= ASKED * 5 / 4);
}

#[test]
fn a_last_try_waits_for_what_is_asked_for_alone() {
    let mut retries = retries();
    waits(&mut retries, "disk_full", ASKED, 6);
    retries.is_last_try = true;
    assert_eq!(waits(&mut retries, "disk_full", ASKED, 2), [50, 50]);
}
