//! As a person sees it: in Chromium, driven by its WebDriver.

use crate::common::bounded;
use crate::common::peers::peer;
use crate::program::{Folder, Server, evserve};
use serde_json::{Value, json};
use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

struct Browser {
    driver: Child,
    session: String,
}

impl Browser {
    fn start() -> Option<Self> {
        let mut driver = peer("chromedriver")?
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.as_mut().unwrap()).lines();
        let line = lines.find(|line| {
            line.as_ref()
                .is_ok_and(|line| line.contains("successfully on port "))
        });
        let line = line.expect("it says where it listens").unwrap();
        let port = line
            .rsplit(' ')
            .next()
            .unwrap()
            .trim_end_matches('.')
            .to_owned();
        let mut browser = Browser {
            driver,
            session: format!("http://127.0.0.1:{port}/session"),
        };
        let args = ["--headless=new", "--no-sandbox", "--disable-gpu"];
        let wanted =
            json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": args}}}});
        let begun = browser.ask("", &wanted);
        let id = begun["sessionId"].as_str().expect("a session").to_owned();
        browser.session = format!("{}/{id}", browser.session);
        Some(browser)
    }

    fn ask(&self, command: &str, what: &Value) -> Value {
        let out = Command::new("curl")
            .args([
                "-sS",
                "--max-time",
                "50",
                "-H",
                "Content-Type: application/json",
            ])
            .args(["-d", &what.to_string()])
            .arg(format!("{}{command}", self.session))
            .output()
            .unwrap();
        let answer: Value = serde_json::from_slice(&out.stdout).unwrap();
        let value = answer["value"].clone();
        assert!(value.get("error").is_none(), "{command}: {value}");
        value
    }

    fn open(&self, url: &str) {
        self.ask("/url", &json!({ "url": url }));
    }

    /// The path of an element, for commands.
    fn find(&self, selector: &str) -> String {
        let found = self.ask(
            "/element",
            &json!({"using": "css selector", "value": selector}),
        );
        let id = found.as_object().unwrap().values().next().unwrap();
        format!("/element/{}", id.as_str().unwrap())
    }

    fn click(&self, selector: &str) {
        self.ask(&format!("{}/click", self.find(selector)), &json!({}));
    }

    fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({selector:?})?.innerText ?? ''");
        let text = self.ask("/execute/sync", &json!({"script": script, "args": []}));
        text.as_str().unwrap().to_owned()
    }

    /// Waits for it.
    fn until(&self, selector: &str, fits: impl Fn(&str) -> bool) {
        while !fits(&self.text(selector)) {}
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser goes with its session, and not with its driver.
        let end = ["-s", "--max-time", "10", "-X", "DELETE", &self.session];
        let _ = Command::new("curl")
            .args(end)
            .stdout(Stdio::null())
            .status();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[test]
fn a_listing_is_sorted_by_clicks_and_takes_a_file() {
    let _bounded = bounded();
    let Some(browser) = Browser::start() else {
        return;
    };
    let folder = Folder::new();
    folder.put("public/b.txt", "1");
    folder.put("public/a.txt", "333");
    folder.put("public/sub/c.txt", "22");
    folder.put("new ä.txt", "brought");
    let mut command = evserve();
    let server = Server::with(
        command
            .arg(folder.path("public"))
            .args(["-p", "0", "--upload"]),
    );

    browser.open(&server.url);
    let names = || -> Vec<String> {
        let text = browser.text("tbody");
        text.lines()
            .map(|line| line.split('\t').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(), ["sub/", "a.txt", "b.txt"]);
    browser.click("th:nth-child(2) a");
    browser.until("th:nth-child(2)", |head| head.contains('↑'));
    assert_eq!(names(), ["sub/", "b.txt", "a.txt"]);
    browser.click("th:nth-child(2) a");
    browser.until("th:nth-child(2)", |head| head.contains('↓'));
    assert_eq!(names(), ["sub/", "a.txt", "b.txt"]);

    let file = folder.path("new ä.txt");
    let field = format!("{}/value", browser.find("input[type=file]"));
    browser.ask(&field, &json!({ "text": file.to_str().unwrap() }));
    browser.click("form button");
    browser.until("tbody", |rows| rows.contains("new ä.txt"));
    assert_eq!(
        std::fs::read(folder.path("public/new ä.txt")).unwrap(),
        b"brought"
    );
    browser.click("tbody tr:last-child a");
    browser.until("body", |text| text == "brought");
}

#[test]
fn a_page_shows_what_its_file_has_become() {
    let _bounded = bounded();
    let Some(browser) = Browser::start() else {
        return;
    };
    let folder = Folder::new();
    folder.put("index.html", "<!DOCTYPE html><p>first</p>");
    let flags = ["-p", "0", "--live-reload"];
    let server = Server::with(evserve().arg(&folder.0).args(flags));
    browser.open(&server.url);
    browser.until("p", |text| text == "first");
    // The first change may come before the first look.
    let number = Cell::new(0);
    browser.until("p", |text| {
        number.set(number.get() + 1);
        let page = format!("<!DOCTYPE html><p>changed {}</p>", number.get());
        folder.put("index.html", page);
        text.starts_with("changed")
    });
}

#[test]
fn the_page_of_numbers_draws_them() {
    let _bounded = bounded();
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::with(evserve().args(["-p", "0", "--echo"]));
    browser.open(&format!("{}__stats", server.url));
    browser.until("#rate b", |text| {
        server.curl("x");
        text.parse::<f64>().is_ok_and(|rate| rate > 0.0)
    });
    browser.until("#connections b", |text| {
        text.parse::<u32>().is_ok_and(|count| count > 0)
    });
    browser.until("#memory b", |text| text.ends_with("MiB"));
    browser.until("#p99 b", |text| text.ends_with('s'));
    assert!(browser.text("#foot").contains("requests (2xx: "));
    drop(server);
    browser.until("#gone", |text| text.contains("does not answer"));
}
