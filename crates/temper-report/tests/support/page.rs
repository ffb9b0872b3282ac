//! A page, looked through without a browser.

use std::collections::HashSet;

/// Elements without an end.
const VOID: [&str; 4] = ["meta", "link", "br", "hr"];

/// Checks that a page is well formed and by itself: elements are closed in order, no name is given twice, every picture says what it shows and has a
/// table, and nothing comes from elsewhere.
pub fn check(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut ids = HashSet::new();
    let mut rest = page;
    while let Some(begin) = rest.find('<') {
        rest = &rest[begin + 1..];
        if rest.starts_with('!') {
            continue;
        }
        let end = rest.find('>').expect("every tag ends");
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(
                open.pop(),
                Some(name),
                "closed out of order, before: {}",
                &rest[..rest.len().min(200)]
            );
            continue;
        }
        let name = tag.split([' ', '\n', '/']).next().expect("a name");
        for (attribute, value) in attributes(tag) {
            match attribute {
                "id" => assert!(ids.insert(value), "the name {value} is given twice"),
                "src" | "srcset" | "style" | "onclick" | "onload" => {
                    panic!("{attribute}=\"{value}\" in <{name}>")
                }
                "href" => {
                    let is_own =
                        ["#", "figures/", "tables/", "data:,"].iter().any(|own| value.starts_with(own));
                    assert!(is_own, "a link to elsewhere: {value}");
                }
                _ => {}
            }
        }
        if name == "svg" && open.contains(&"figure") {
            assert!(
                attributes(tag).iter().any(|(name, value)| *name == "aria-label" && value.len() > 20),
                "{tag}"
            );
        }
        if matches!(name, "style" | "script") {
            let end = rest.find(&format!("</{name}>")).expect("it ends");
            rest = &rest[end + name.len() + 3..];
        } else if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    let count = |what: &str| page.matches(what).count();
    assert_eq!(count("<figure "), count("<figcaption>"));
    for figure in page.split("<figure ").skip(1) {
        let figure = &figure[..figure.find("</figure>").expect("it ends")];
        assert!(figure.contains("<table>") && figure.contains("<h3"), "a figure without a table or a title");
    }
    // Names of XML's own are no requests.
    let others = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!others.contains("http://") && !others.contains("https://") && !others.contains("@import"));
    assert!(page.contains("default-src 'none'") && !page.contains("unsafe-inline"));
}

/// The attributes of a tag.
fn attributes(tag: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once("=\"") {
        let name = before.rsplit([' ', '\n']).next().expect("a name");
        let (value, after) = after.split_once('"').expect("a value ends");
        found.push((name, value));
        rest = after;
    }
    found
}
