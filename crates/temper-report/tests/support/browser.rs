//! A page in headless Chromium, if there is one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Width of the window, in pixels.
    pub width: u32,
    /// Whether the system's colours are dark.
    pub dark: bool,
}

/// A window is never as narrow as a telephone, a frame is.
const FRAME: &str = "<!doctype html><meta name=color-scheme content=\"light dark\"><iframe src=harnessed.html style=\"border:0;width:WIDTHpx;height:5000px\"></iframe>\
    <pre id=\"findings\"></pre><script>addEventListener('message', (event) => { document.getElementById('findings').textContent = event.data; });</script>";

/// Collects what goes wrong, then looks at the page as its readers do, and tells the page around it what it found.
const HARNESS: &str = include_str!("harness.js");

/// Where Chromium is; `None`, with a word on standard error, where it is not installed.
pub fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = std::env::split_paths(&path)
        .flat_map(|dir| names.map(|name| dir.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: there is no Chromium; install it to test pages in a browser");
    }
    found
}

fn command(chromium: &Path, dir: &Path, view: View) -> Command {
    let mut command = Command::new(chromium);
    let scheme = u8::from(!view.dark);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--virtual-time-budget=4000",
    ]);
    command.arg(format!("--user-data-dir={}", dir.join("chromium").display()));
    command.arg(format!("--window-size={},900", view.width + 50));
    command.arg(format!("--blink-settings=preferredColorScheme={scheme}"));
    command
}

/// Looks at a page with the harness in it; its content security policy stays what it is, but for the harness itself.
pub fn findings(chromium: &Path, dir: &Path, page: &str, view: View) -> Value {
    let page = page.replacen("script-src '", "script-src 'nonce-harness' '", 1);
    let page =
        page.replacen("</title>", &format!("</title>\n<script nonce=\"harness\">{HARNESS}</script>"), 1);
    let file = dir.join("harnessed.html");
    fs::write(&file, page).expect("written");
    let frame = dir.join("frame.html");
    fs::write(&frame, FRAME.replace("WIDTH", &view.width.to_string())).expect("written");
    let output = command(chromium, dir, view)
        .arg("--dump-dom")
        .arg(format!("file://{}", frame.display()))
        .output()
        .expect("Chromium starts");
    let dom = String::from_utf8_lossy(&output.stdout);
    let found = dom.split("<pre id=\"findings\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let found = found.filter(|found| !found.is_empty());
    let found = found.unwrap_or_else(|| {
        panic!(
            "Chromium left nothing: {}\n{}",
            String::from_utf8_lossy(&output.stderr),
            &dom[dom.len().saturating_sub(500)..]
        )
    });
    serde_json::from_str(&found.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
        .expect("JSON")
}

/// Prints a page; returns the number of sheets.
pub fn printed(chromium: &Path, dir: &Path, page: &Path) -> usize {
    let pdf = dir.join("printed.pdf");
    let output = command(chromium, dir, View { width: 1000, dark: true })
        .arg("--no-pdf-header-footer")
        .arg(format!("--print-to-pdf={}", pdf.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("Chromium starts");
    let bytes = fs::read(&pdf).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let text = String::from_utf8_lossy(&bytes);
    text.matches("/Type /Page\n").count() + text.matches("/Type /Page ").count()
}

/// Checks a page at the widths of a telephone, a tablet and a large screen, in light and dark.
pub fn looks_right(chromium: &Path, dir: &Path, page: &str, name: &str) {
    for (width, dark) in [(400, false), (400, true), (1000, false), (1000, true), (1600, false), (1600, true)]
    {
        let found = findings(chromium, dir, page, View { width, dark });
        let at = format!("{name} at {width}, dark: {dark}: {found:#}");
        assert_eq!((&found["dark"], &found["overflow"]), (&json!(dark), &json!(0)), "{at}");
        for nothing in ["sticksOut", "clipped", "overlapping", "unmapped", "requests", "errors"] {
            assert_eq!(found[nothing], json!([]), "{nothing}: {at}");
        }
        assert_eq!(found["figures"], found["drawn"], "{at}");
        let narrow = if width == 400 { &found["figures"] } else { &json!(0) };
        assert_eq!(&found["narrow"], narrow, "{at}");
        assert!(found["smallest"].as_f64().expect("a height") > 10.0, "{at}");
        assert!(found["sorted"] != json!(false) && found["hovering"] == json!(true), "{at}");
    }
}
