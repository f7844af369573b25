//! What the chart renders, committed: a change of a template shows what it changes.
//!
//! One case is there as a whole; of each other one the objects that are not the same. `OTTO_BLESS=1` writes
//! them anew (`just chart`).

use std::fmt::Write;
use std::path::PathBuf;

use ottoscaler_tests::binary::workspace;

use crate::helm::{Case, HELMS, Object, case, cases, objects, parse, render};

/// The case that others are compared with.
const BASE: &str = "existing-secret";

fn file(case: &Case) -> PathBuf {
    workspace().join(format!("tests/chart_tier/golden/{}.yaml", case.name))
}

/// What differs from the base, in the form of the files.
fn golden(of: &[Object], base: &[Object]) -> String {
    let mut text = String::new();
    for object in base.iter().filter(|known| of.iter().all(|object| object.id() != known.id())) {
        writeln!(text, "# without {}", object.id()).unwrap();
    }
    for object in of.iter().filter(|object| !base.contains(object)) {
        writeln!(text, "---\n{}", object.text).unwrap();
    }
    text
}

#[test]
fn what_is_rendered_is_what_was_committed() {
    let bless = std::env::var_os("OTTO_BLESS").is_some();
    let base = objects(&case(BASE));
    let mut changed = Vec::new();
    for case in cases() {
        let known = if case.name == BASE { &[][..] } else { &base };
        let (now, file) = (golden(&objects(&case), known), file(&case));
        if std::fs::read_to_string(&file).unwrap_or_default() == now {
            continue;
        }
        if bless {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, now).unwrap();
        } else {
            changed.push(case.name);
        }
    }
    assert!(
        changed.is_empty(),
        "{changed:?} render otherwise; if that is meant: just chart, and look at the diff"
    );
}

#[test]
fn no_golden_file_is_left_of_a_case_that_is_no_more() {
    let known: Vec<_> = cases().iter().map(file).collect();
    let files = workspace().join("tests/chart_tier/golden").read_dir().unwrap();
    for file in files.map(|entry| entry.unwrap().path().canonicalize().unwrap()) {
        let is_known = known.iter().any(|known| known.canonicalize().is_ok_and(|known| known == file));
        assert!(is_known, "{}", file.display());
    }
}

#[test]
fn both_helms_render_the_same() {
    for case in cases() {
        let [three, four] = HELMS.map(|helm| parse(&render(helm, &case.values, &[]).unwrap()));
        let values =
            |objects: Vec<Object>| objects.into_iter().map(|object| object.value).collect::<Vec<_>>();
        assert_eq!(values(three), values(four), "{}", case.name);
    }
}

#[test]
fn what_is_rendered_twice_is_the_same() {
    // A password made up on the way, or a map in another order, would restart Pods with each upgrade.
    for case in cases() {
        let [one, other] = [(); 2].map(|()| render("helm3", &case.values, &[]).unwrap());
        assert_eq!(one, other, "{}", case.name);
    }
}
