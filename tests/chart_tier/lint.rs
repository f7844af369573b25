//! `helm lint`, and `helm package`.

use crate::helm::{HELMS, cases, chart, text, tool};

#[test]
fn both_helms_find_nothing_to_complain_of() {
    for helm in HELMS {
        for case in cases() {
            let mut lint = tool(helm);
            let lint = lint
                .args(["lint", "--strict"])
                .arg(chart())
                .arg("--values")
                .arg(&case.values)
                .output()
                .unwrap();
            let said = text(&lint.stdout);
            assert!(lint.status.success(), "{helm}, {}: {said}{}", case.name, text(&lint.stderr));
            assert!(
                !said.contains("[WARNING]") && !said.contains("[ERROR]"),
                "{helm}, {}: {said}",
                case.name
            );
        }
    }
}

/// The machines that make a release each pack it.
#[test]
fn the_same_chart_is_the_same_package_whoever_packs_it_and_when() {
    let pack = || {
        let dir = tempfile::tempdir().unwrap();
        let script = ottoscaler_tests::binary::workspace().join("scripts/chart-package");
        let output = tool("bash").arg(script).arg(dir.path()).env("SOURCE_DATE_EPOCH", "7").output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let package = std::fs::read(text(&output.stdout).trim()).unwrap();
        let list = tool("tar").args(["-tvzf", text(&output.stdout).trim(), "--utc"]).output().unwrap();
        (package, text(&list.stdout))
    };
    let (one, list) = pack();
    // Helm itself writes into it when it was packed.
    assert!(pack().0 == one, "packed again it is another file");
    assert!(list.lines().all(|line| line.contains(" 0/0 ") && line.contains("1970-01-01 00:00")), "{list}");
    assert!(
        list.contains("ottoscaler/Chart.yaml") && list.contains("ottoscaler/files/alerts.yaml"),
        "{list}"
    );
}

#[test]
fn the_package_holds_what_an_operator_needs_and_not_what_it_was_made_of() {
    let dir = tempfile::tempdir().unwrap();
    let package =
        tool("helm3").arg("package").arg(chart()).arg("--destination").arg(dir.path()).output().unwrap();
    assert!(package.status.success(), "{}", text(&package.stderr));
    let file = dir.path().join(format!("ottoscaler-{}.tgz", env!("CARGO_PKG_VERSION")));
    let list = tool("tar").arg("-tzf").arg(&file).output().unwrap();
    let list = text(&list.stdout);
    for name in [
        "README.md",
        "values.schema.json",
        "values-ha.yaml",
        "files/scaler-rules.yaml",
        "templates/NOTES.txt",
    ] {
        assert!(list.lines().any(|line| line == format!("ottoscaler/{name}")), "{name}: {list}");
    }
    assert!(!list.contains("ottoscaler/docs/"), "{list}");
}

#[test]
fn there_is_one_version() {
    let chart: serde_json::Value =
        serde_saphyr::from_str(&std::fs::read_to_string(chart().join("Chart.yaml")).unwrap()).unwrap();
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let images = chart["annotations"]["artifacthub.io/images"].as_str().unwrap();
    assert_eq!(images.matches(concat!(":", env!("CARGO_PKG_VERSION"))).count(), 3, "{images}");
}
