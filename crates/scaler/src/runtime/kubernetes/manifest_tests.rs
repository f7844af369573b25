use std::path::PathBuf;

use super::super::worker_pod::WorkerPod;
use super::*;
use crate::reconcile::testing;

const CLASSES: &str = "
podTemplate:
  metadata:
    labels: { team: ci, app: not-ours-to-lose }
  spec:
    serviceAccountName: ci
    nodeSelector: { pool: ci }
    imagePullSecrets: [{ name: registry }]
    tolerations: [{ key: ci, operator: Exists }]
    volumes: [{ name: cache, emptyDir: {} }]
    containers:
      - name: worker
        volumeMounts: [{ name: cache, mountPath: /cache }]
resourceClasses:
  small:
    podTemplate:
      spec:
        containers: [{ name: worker, resources: { limits: { cpu: 500m, memory: 256Mi } } }]
        initContainers: [{ name: otto-agent, resources: { limits: { memory: 64Mi } } }]
  root:
    security: baseline
";

fn config(classes: &str) -> PodConfig {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("workers.yaml");
    std::fs::write(&path, classes).unwrap();
    PodConfig {
        instance: "ottoscaler".to_owned(),
        namespace: "ci".to_owned(),
        agent_image: "otto-agent:1".to_owned(),
        ingest_url: "http://log-ingest:50051".to_owned(),
        grace_period: Duration::from_secs(30),
        drain_timeout: Duration::from_mins(10),
        classes: Classes::read(&path).unwrap(),
    }
}

fn spec(class: Option<&str>) -> WorkerSpec {
    let mut spec = testing::worker_spec("Task_1", "r");
    spec.request.run.image = Some("debian:12".to_owned());
    spec.request.run.command = r#"["sh","-c","echo $HOME $(date) $$"]"#.parse().unwrap();
    spec.request.run.env.insert("PRICE".to_owned(), "$5".to_owned());
    spec.request.run.secret_env.insert("TOKEN".to_owned(), "ci-secrets/token".to_owned());
    spec.request.run.resource_class = class.map(str::to_owned);
    spec
}

fn made(class: Option<&str>, classes: &str) -> Pod {
    pod(&spec(class), &config(classes)).unwrap()
}

#[test]
fn a_plain_workers_pod_is_as_it_always_was() {
    insta::assert_json_snapshot!(made(None, "{}"));
}

#[test]
fn a_class_adds_to_the_pod() {
    insta::assert_json_snapshot!(made(Some("small"), CLASSES));
}

#[test]
fn a_command_arrives_as_it_was_given() {
    // What the kubelet makes of it: `$$` becomes `$`, `$(NAME)` what NAME is.
    let expanded = |text: &str| {
        assert!(!text.replace("$$", "").contains('$'), "{text}");
        text.replace("$$", "$")
    };
    let pod = made(None, "{}");
    let worker = &pod.spec.as_ref().unwrap().containers[0];
    let last = worker.command.as_ref().unwrap().last().unwrap();
    assert_eq!(expanded(last), "echo $HOME $(date) $$");
    let price = worker.env.iter().flatten().find(|variable| variable.name == "PRICE").unwrap();
    assert_eq!(expanded(price.value.as_ref().unwrap()), "$5");
}

#[test]
fn only_the_baseline_class_may_run_as_root() {
    let users = |class| {
        let pod = made(class, CLASSES);
        let spec = pod.spec.unwrap();
        let context = spec.security_context.unwrap();
        (context.run_as_user, context.run_as_non_root)
    };
    assert_eq!(users(None), (Some(USER), Some(true)));
    assert_eq!(users(Some("small")), (Some(USER), Some(true)));
    assert_eq!(users(Some("root")), (None, None));
}

#[test]
fn a_task_may_have_the_stop_signals_of_images_for_itself() {
    let told = |own: Option<&str>| {
        let mut spec = spec(None);
        let own = own.map(|value| (IMAGE_STOP_SIGNALS.to_owned(), value.to_owned()));
        spec.request.run.env.extend(own);
        let all = pod(&spec, &config("{}")).unwrap().spec.unwrap().containers.remove(0).env.unwrap();
        let named = all.into_iter().filter(|variable| variable.name == IMAGE_STOP_SIGNALS);
        named.map(|variable| variable.value.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(told(None), ["true"]);
    assert_eq!(told(Some("false")), ["false"]);
}

#[test]
fn a_worker_is_known_again_by_its_pod() {
    let pod = made(Some("small"), CLASSES);
    let told = WorkerPod { metadata: pod.metadata.clone(), status: None };
    let (worker, identity) = names::identity(&told).unwrap();
    assert_eq!((worker, identity), (spec(None).worker_id, spec(None).identity));
    assert_eq!(names::spec(&told).unwrap(), spec(Some("small")));
    assert_eq!(pod.metadata.labels.unwrap()["app"], "otto-agent", "ours win");
}

#[test]
fn p10_what_cannot_be_a_pod_is_refused_in_words() {
    let refused = |spec: &WorkerSpec| pod(spec, &config(CLASSES)).unwrap_err();
    let mut imageless = spec(None);
    imageless.request.run.image = None;
    assert!(refused(&imageless).contains("--worker-image"));
    assert!(refused(&spec(Some("huge"))).contains("there are: root, small"));
    let mut large = spec(None);
    large.request.run.env.insert("X".to_owned(), "x".repeat(ANNOTATION_BYTES));
    assert!(refused(&large).contains("too large"));
}

#[test]
fn whatever_comes_from_a_secret_is_masked_beside_what_the_event_names() {
    let classes = "podTemplate: {spec: {containers: [{name: worker, env: [
        {name: OPERATORS, valueFrom: {secretKeyRef: {name: registry, key: password}}},
        {name: OTTO_MASK_ENV, value: 'PLAIN, OTHER'}, {name: PLAIN, value: x}]}]}}";
    let mut spec = spec(None);
    spec.request.run.env.insert(MASKED.to_owned(), "MINE".to_owned());
    let pod = pod(&spec, &config(classes)).unwrap();
    let container = &pod.spec.unwrap().containers[0];
    let env = container.env.as_ref().unwrap();
    let masked: Vec<_> = env.iter().filter(|variable| variable.name == MASKED).collect();
    let [masked] = masked[..] else { panic!("it is there once: {masked:?}") };
    let mut names: Vec<_> = masked.value.as_deref().unwrap().split(',').collect();
    names.sort_unstable();
    assert_eq!(names, ["MINE", "OPERATORS", "OTHER", "PLAIN", "TOKEN"]);
}
