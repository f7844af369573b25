//! Logs that are closed by another than their agent.

use super::*;
use crate::ids::{TaskId, WorkerId};
use crate::service::wire;
use crate::summary::Summary;

#[tokio::test]
async fn a_log_that_another_closes_who_knows_no_exit_code_has_none() {
    let running = Running::in_memory().await;
    let mut client = running.streaming().await;
    for (name, exit_code_unknown) in [("unknown", true), ("known", false)] {
        register(&running, name, b"").await;
        let (worker_id, reason) = (name.to_owned(), "agent_gone".to_owned());
        let end = WorkerCompletion { worker_id, reason, exit_code_unknown, ..WorkerCompletion::default() };
        client.complete_worker(end.sealed()).await.unwrap();
        let state = running.server.catalog.worker(&WorkerId::try_from(name).unwrap()).unwrap();
        let told = wire::worker(&state);
        assert_eq!((told.exit_code, told.exit_code_unknown), (0, exit_code_unknown));
        assert_eq!(wire::end(&state).exit_code_unknown, exit_code_unknown);
        let failed = Summary::new(TaskId::from(&state.registration.worker), &[state]).failed;
        assert_eq!(failed, usize::from(exit_code_unknown), "what nobody knows has not passed");
    }
    let late = WorkerCompletion { worker_id: "unknown".into(), ..WorkerCompletion::default() };
    let late = client.complete_worker(late).await.unwrap().into_inner();
    assert!(!late.complete && late.message.starts_with("the log was closed before"), "{late:?}");
}
