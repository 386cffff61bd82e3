//! The test that the documentation shows is a test.

#[path = "../../crates/mock-backend/doc/property_test.rs"]
mod shown;

#[test]
fn the_page_shows_the_test() {
    let test = include_str!("../../crates/mock-backend/doc/property_test.rs");
    let page = include_str!("../../docs/property-tests.md");
    assert!(page.contains(test), "docs/property-tests.md must show doc/property_test.rs");
}
