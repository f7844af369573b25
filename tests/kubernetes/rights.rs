//! The scaler needs the rights that are shipped, and each of them.

use std::time::Duration;

use k8s_openapi::api::rbac::v1::PolicyRule;

use crate::world::{LIMIT, World, event, rules};

/// What works is through long before this.
const ENOUGH: Duration = Duration::from_secs(20);

/// The same rules without one verb of one of them.
fn without(rule: usize, verb: &str) -> Vec<PolicyRule> {
    let mut rules = rules();
    rules[rule].verbs.retain(|kept| kept != verb);
    rules.retain(|rule| !rule.verbs.is_empty());
    rules
}

/// One worker through its whole life: made, run, ended, removed. Says whether it got to its end.
async fn lives(world: &World, limit: Duration) -> bool {
    let _replica = world.scaler().start().await;
    world.submit(&event("t", &[])).await;
    let whole = async {
        let pods = world.pods_are(1).await;
        world.run_through(&pods, 0).await;
        world.ended("t", 1).await;
        world.pods_are(0).await;
    };
    tokio::time::timeout(limit, whole).await.is_ok()
}

#[tokio::test]
async fn the_shipped_rights_are_enough_and_without_any_one_of_them_it_does_not_work() {
    let world = World::start().await;
    assert!(lives(&world, LIMIT).await);
    let world = &world;
    let verbs = rules()
        .into_iter()
        .enumerate()
        .flat_map(|(number, rule)| rule.verbs.into_iter().map(move |verb| (number, verb)));
    let checks = verbs.map(|(number, verb)| async move {
        let world = world.another().await;
        world.allow(without(number, &verb)).await;
        assert!(!lives(&world, ENOUGH).await, "it works without {verb} of rule {number}");
    });
    futures::future::join_all(checks).await;
}
