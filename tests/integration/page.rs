//! The page as it is served; `scripts/page-tests` has it in browsers.

use ottoscaler_tests::ingest::Ingest;

#[tokio::test]
async fn the_page_allows_no_script_but_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    let response = reqwest::get(ingest.http_url("/")).await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
}
