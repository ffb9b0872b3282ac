//! A page in headless Chromium, if there is one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

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
