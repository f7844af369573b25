use super::*;
use crate::reconcile::testing::{self, at};
use crate::runtime::ObstacleKind;

struct Case {
    workers: Workers,
    worker: WorkerId,
    identity: Identity,
}

impl Case {
    fn new() -> Self {
        let spec = testing::worker_spec("t", "r");
        Self { workers: Workers::default(), worker: spec.worker_id, identity: spec.identity }
    }

    fn volume(&self) -> Listed {
        let (worker, identity) = (self.worker.clone(), self.identity.clone());
        Listed { worker, identity, container: None }
    }

    fn container(&self, life: Life) -> Listed {
        Listed { container: Some(Container { id: "1".to_owned(), life }), ..self.volume() }
    }

    fn seen(&self, state: State) -> Seen {
        let (worker, identity) = (self.worker.clone(), self.identity.clone());
        Seen { worker, identity, id: "1".to_owned(), state }
    }

    fn list(&mut self, listed: &[Listed], second: i64) {
        let begun = self.workers.list_begins();
        self.workers.list_ends(begun, listed, at(second));
    }

    fn phase(&self) -> Phase {
        self.workers.observe().unwrap()[&self.worker].phase.clone()
    }

    fn vanished(&self) -> String {
        match self.phase() {
            Phase::Vanished { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }

    fn begin(&mut self) -> CancellationToken {
        match self.workers.begin(&self.worker, &self.identity, at(2)) {
            Begun::Start(token) => token,
            Begun::Nothing => panic!("it is nobody's"),
        }
    }
}

fn running() -> State {
    State::Running { started_at: Some(at(5)), stopping: false }
}

fn exited(code: i32) -> State {
    State::Exited { exit: testing::exit(code), stopping: false }
}

#[test]
fn a_worker_that_has_ended_is_known_to_have_been_stopped_by_a_scaler_before() {
    let mut case = Case::new();
    case.workers.seen(case.seen(State::Exited { exit: testing::exit(143), stopping: true }));
    case.list(&[case.volume()], 10);
    assert!(case.workers.is_stopping(&case.worker));
}

#[test]
fn nothing_is_observed_before_the_first_list_and_what_is_asked_anew_needs_another() {
    let mut case = Case::new();
    assert_eq!(case.workers.observe(), Err(NotSynced));
    case.list(&[], 1);
    assert!(case.workers.observe().unwrap().is_empty());
    case.workers.forget_list();
    assert_eq!(case.workers.observe(), Err(NotSynced));
}

#[test]
fn p1_what_an_earlier_scaler_left_is_adopted_and_a_place_without_a_container_is_made_again() {
    let mut case = Case::new();
    let listed = [case.volume(), case.container(Life::Running)];
    assert_eq!(case.workers.due(&listed).len(), 1);
    case.workers.seen(case.seen(running()));
    case.list(&listed, 10);
    assert_eq!(case.phase(), Phase::Running { started_at: Some(at(5)) });
    assert!(case.workers.due(&listed).is_empty(), "nothing is asked again");

    let mut case = Case::new();
    case.list(&[case.volume()], 10);
    assert_eq!(case.phase(), Phase::Unstarted);
    case.begin();
    assert!(matches!(case.phase(), Phase::Pending { obstacle: None, .. }));
    assert!(matches!(case.workers.begin(&case.worker, &case.identity, at(3)), Begun::Nothing));
}

#[test]
fn p1_a_container_that_was_made_and_not_started_is_started_by_the_next_scaler() {
    let mut case = Case::new();
    case.workers.seen(case.seen(State::Created));
    case.list(&[case.volume(), case.container(Life::Created)], 10);
    assert_eq!(case.phase(), Phase::Unstarted);
    case.begin();
    case.workers.seen(case.seen(State::Created));
    assert!(matches!(case.phase(), Phase::Pending { .. }), "it is being started");
}

#[test]
fn a_container_that_is_listed_and_cannot_be_looked_at_has_the_phase_that_it_had_or_what_the_list_says() {
    let trouble = || Trouble::unreachable("no answer".to_owned());
    for (life, expected) in [
        (Life::Running, Phase::Running { started_at: None }),
        (Life::Exited, Phase::Running { started_at: None }),
        (Life::Created, Phase::Pending { since: at(3), obstacle: None }),
    ] {
        let mut case = Case::new();
        let listed = [case.volume(), case.container(life)];
        case.workers.unanswered(&listed[1], trouble(), at(3));
        case.list(&listed, 4);
        match (case.phase(), expected) {
            (Phase::Pending { since, obstacle: Some(obstacle) }, Phase::Pending { since: expected, .. }) => {
                assert_eq!((since, obstacle.kind), (expected, ObstacleKind::Unschedulable));
            }
            (phase, expected) => assert_eq!(phase, expected),
        }
        assert!(case.workers.due(&listed).is_empty(), "the list does not wait for it again");
        assert!(matches!(case.workers.begin(&case.worker, &case.identity, at(5)), Begun::Nothing));
        assert!(
            case.workers.is_found(&case.worker),
            "whether its end was asked for is still to be found out"
        );
        case.workers.seen(case.seen(exited(7)));
        assert_eq!(case.phase(), Phase::Ended(testing::exit(7)));
    }

    let mut case = Case::new();
    case.list(&[case.volume()], 1);
    case.workers.seen(case.seen(running()));
    case.workers.unanswered(&case.container(Life::Exited), trouble(), at(6));
    assert_eq!(case.phase(), Phase::Running { started_at: Some(at(5)) });
    case.workers.gone(&case.worker, at(7));
    assert!(case.vanished().contains("removed"));

    let mut case = Case::new();
    case.workers.unanswered(&case.container(Life::Exited), trouble(), at(6));
    case.list(&[case.volume()], 7);
    assert!(case.vanished().contains("its container was removed"), "{}", case.vanished());
}

#[test]
fn a_list_that_began_before_a_worker_was_made_or_removed_does_not_take_it_away_or_bring_it_back() {
    let mut case = Case::new();
    let begun = case.workers.list_begins();
    case.begin();
    case.workers.seen(case.seen(running()));
    case.workers.start_ended(&case.worker);
    case.workers.list_ends(begun, &[], at(10));
    assert!(matches!(case.phase(), Phase::Running { .. }));

    let begun = case.workers.list_begins();
    case.workers.remove(&case.worker);
    case.workers.seen(case.seen(running()));
    case.workers.list_ends(begun, &[case.volume()], at(11));
    assert!(case.workers.observe().unwrap().is_empty());
    case.list(&[], 12);
    assert!(case.workers.observe().unwrap().is_empty());
}

#[test]
fn a_container_that_somebody_removes_has_vanished_unless_its_end_was_seen() {
    let mut case = Case::new();
    case.workers.seen(case.seen(running()));
    case.list(&[case.volume()], 10);
    assert!(case.vanished().contains("removed"));

    let mut case = Case::new();
    case.workers.seen(case.seen(exited(7)));
    case.list(&[case.volume(), case.container(Life::Exited)], 10);
    case.workers.gone(&case.worker, at(11));
    assert_eq!(case.phase(), Phase::Ended(testing::exit(7)));
    case.list(&[], 12);
    assert_eq!(case.phase(), Phase::Ended(testing::exit(7)), "until it is removed on purpose");
}

#[test]
fn a_worker_that_is_being_started_is_nobodys_loss() {
    let mut case = Case::new();
    case.begin();
    case.list(&[], 10);
    case.workers.gone(&case.worker, at(11));
    assert!(matches!(case.phase(), Phase::Pending { .. }));
}

#[test]
fn an_obstacle_has_been_there_since_it_was_first_met() {
    let mut case = Case::new();
    case.list(&[], 1);
    case.begin();
    let met = |case: &mut Case, kind, second| {
        let trouble = Trouble { kind, message: format!("at {second}") };
        case.workers.hindered(&case.worker.clone(), trouble, at(second));
        match case.phase() {
            Phase::Pending { obstacle: Some(obstacle), .. } => obstacle,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(met(&mut case, ObstacleKind::Image, 5).since, at(5));
    let again = met(&mut case, ObstacleKind::Image, 9);
    assert_eq!((again.since, again.message.as_str()), (at(5), "at 9"));
    assert_eq!(met(&mut case, ObstacleKind::Configuration, 12).since, at(12));
}

#[test]
fn p2_a_worker_that_was_stopped_in_time_never_starts() {
    let mut case = Case::new();
    case.list(&[], 1);
    let start = case.begin();
    case.workers.bar(&case.worker);
    assert!(start.is_cancelled() && case.workers.is_barred(&case.worker));
    case.workers.start_ended(&case.worker);
    case.workers.never_started(&case.worker, at(9));
    assert!(case.vanished().contains("stopped before"));
    assert!(matches!(case.workers.begin(&case.worker, &case.identity, at(10)), Begun::Nothing));
    case.list(&[case.volume()], 11);
    assert!(case.vanished().contains("stopped before"));
}

#[test]
fn a_stop_outlives_the_scaler_that_asked_for_it() {
    let mut case = Case::new();
    case.workers.seen(case.seen(State::Running { started_at: None, stopping: true }));
    case.list(&[case.volume(), case.container(Life::Running)], 10);
    assert!(case.workers.observe().unwrap()[&case.worker].stopping);
    case.workers.seen(case.seen(running()));
    assert!(case.workers.is_stopping(&case.worker), "it is not forgotten");
}

#[tokio::test(start_paused = true)]
async fn who_runs_on_long_after_the_end_is_told_now_and_then() {
    let mut case = Case::new();
    case.workers.seen(case.seen(running()));
    let patience = Duration::from_mins(1);
    tokio::time::advance(patience * 2).await;
    assert!(case.workers.overdue(patience).is_empty(), "nobody asked for its end");
    case.workers.stopping(&case.worker);
    assert!(case.workers.overdue(patience).is_empty());
    tokio::time::advance(patience * 2).await;
    assert_eq!(case.workers.overdue(patience), std::slice::from_ref(&case.worker));
    assert!(case.workers.overdue(patience).is_empty());
    tokio::time::advance(patience * 2).await;
    case.workers.seen(case.seen(exited(0)));
    assert!(case.workers.overdue(patience).is_empty());
}
