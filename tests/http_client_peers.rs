//! The client before the servers that people run: nginx, Apache, and httpbin.
#![cfg(all(feature = "http", feature = "rustls", unix))]

mod common;
mod http_client_common;
#[path = "common/rustls.rs"]
mod rustls_ends;

use common::Watchdog;
use common::peers::peer;
use http_client_common::{ask, begin, kind};
use libevent2::EventBase;
use libevent2::http::{Answer, Client, ClientErrorKind, ClientOptions, Phase, StatusCode};
use rustls_ends::WORLD;
use std::cell::Cell;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, process, thread};

const MIB: u64 = 1 << 20;

fn bounded() -> Watchdog {
    Watchdog::new(Duration::from_secs(120))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A server's process with a directory of its own; both go at the end.
struct Daemon {
    child: Child,
    dir: PathBuf,
    port: u16,
}

impl Daemon {
    /// `configure` gets the directory and two ports, and returns the arguments.
    fn start(
        mut command: Command,
        configure: impl FnOnce(&PathBuf, u16, u16) -> Vec<String>,
    ) -> (Self, u16) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("libevent2-http-{}-{next}", process::id()));
        fs::create_dir_all(dir.join("www/up")).unwrap();
        // Whoever serves may not be who we are.
        use std::os::unix::fs::PermissionsExt;
        for path in [dir.clone(), dir.join("www"), dir.join("www/up")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        }
        fs::write(dir.join("www/hello.txt"), "hello").unwrap();
        let big = File::create(dir.join("www/big")).unwrap();
        big.set_len(1024 * MIB).unwrap();
        let (port, second) = (free_port(), free_port());
        command.args(configure(&dir, port, second));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{command:?}: {status}");
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{command:?}");
            thread::sleep(Duration::from_millis(10));
        }
        (Daemon { child, dir, port }, second)
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn nginx() -> Option<(Daemon, u16)> {
    let command = peer("nginx")?;
    Some(Daemon::start(command, |dir, port, second| {
        let path = dir.display();
        let (chain, key) = (dir.join("chain.pem"), dir.join("key.pem"));
        fs::write(&chain, &WORLD.right.certificate_pem).unwrap();
        fs::write(&key, &WORLD.right.key_pem).unwrap();
        let config = format!(
            "daemon off; worker_processes 1; pid {path}/pid; error_log {path}/error.log;
             events {{ }}
             http {{
               access_log off; keepalive_timeout 1s; client_body_temp_path {path}/body;
               proxy_temp_path {path}/p; fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u;
               scgi_temp_path {path}/s; root {path}/www; client_max_body_size 0;
               server {{
                 listen 127.0.0.1:{port}; listen 127.0.0.1:{second} ssl; listen unix:{path}/sock;
                 ssl_certificate {path}/chain.pem; ssl_certificate_key {path}/key.pem;
                 location /up/ {{ dav_methods PUT DELETE; }}
                 location /small/ {{ client_max_body_size 1k; dav_methods PUT; }}
                 location /moved {{ return 308 /hello.txt; }}
                 location /close {{ keepalive_timeout 0; return 200 closed; }}
                 location /ssi/ {{ alias {path}/www/; ssi on; ssi_types *; }}
                 location /via {{ proxy_pass http://127.0.0.1:{port}/hello.txt; }}
               }}
             }}"
        );
        fs::write(dir.join("nginx.conf"), config).unwrap();
        let file = dir.join("nginx.conf").display().to_string();
        vec![
            "-p".into(),
            path.to_string(),
            "-c".into(),
            file,
            "-e".into(),
            format!("{path}/log"),
        ]
    }))
}

fn fetch(base: &mut EventBase, client: &Client, url: &str) -> Answer {
    ask(base, client, client.get(url).unwrap()).unwrap()
}

/// The length of a long answer that is not held in memory.
fn length_of(base: &mut EventBase, client: &Client, url: &str) -> u64 {
    let length = Rc::new(Cell::new(0));
    let (add, handle) = (length.clone(), base.handle().clone());
    let pending = client.get(url).unwrap().open(move |result| {
        let body = result.unwrap().incoming();
        body.on_data(move |data| {
            assert!(data.iter().all(|&byte| byte == 0));
            add.set(add.get() + data.len() as u64);
        });
        body.on_end(move |end| {
            end.unwrap();
            handle.exit();
        });
    });
    base.run().unwrap();
    drop(pending);
    length.get()
}

fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.map_or(0, |line| {
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            << 10
    })
}

#[test]
fn nginx_is_understood() {
    let _bounded = bounded();
    let Some((nginx, secure)) = nginx() else {
        return;
    };
    let mut options = ClientOptions::default();
    options.tls = Some(rustls_ends::connector().into());
    let mut base = EventBase::new().unwrap();
    let client = Client::with(&base, options).unwrap();
    let https = format!("https://localhost:{secure}");
    for origin in [nginx.url(""), https.clone()] {
        let answer = fetch(&mut base, &client, &format!("{origin}/hello.txt"));
        assert_eq!(
            (answer.text().as_ref(), answer.status),
            ("hello", StatusCode::OK)
        );
        assert!(answer.header("server").unwrap().starts_with("nginx"));
        let etag = answer.header("etag").unwrap().to_owned();
        let same = client.get(&format!("{origin}/hello.txt")).unwrap();
        let same = ask(&mut base, &client, same.header("if-none-match", etag)).unwrap();
        assert_eq!(same.status, StatusCode::NOT_MODIFIED);
        let part = client.get(&format!("{origin}/hello.txt")).unwrap();
        let part = ask(&mut base, &client, part.header("range", "bytes=1-3")).unwrap();
        assert_eq!((part.text().as_ref(), part.status.as_u16()), ("ell", 206));
        let head = client.head(&format!("{origin}/hello.txt")).unwrap();
        assert_eq!(
            ask(&mut base, &client, head)
                .unwrap()
                .header("content-length"),
            Some("5")
        );
        assert_eq!(
            fetch(&mut base, &client, &format!("{origin}/nothing"))
                .status
                .as_u16(),
            404
        );
        assert_eq!(
            fetch(&mut base, &client, &format!("{origin}/moved")).text(),
            "hello"
        );
        assert_eq!(
            fetch(&mut base, &client, &format!("{origin}/via")).text(),
            "hello"
        );
        let chunked = fetch(&mut base, &client, &format!("{origin}/ssi/hello.txt"));
        assert_eq!(chunked.header("transfer-encoding"), Some("chunked"));
        assert_eq!(chunked.text(), "hello");
        assert_eq!(client.idle_connections(), 1);
        assert_eq!(
            fetch(&mut base, &client, &format!("{origin}/close")).text(),
            "closed"
        );
        assert_eq!(client.connections(), 0, "it said that it would close");
    }
    let socket = client
        .get("http://localhost/hello.txt")
        .unwrap()
        .unix(nginx.dir.join("sock"));
    assert_eq!(ask(&mut base, &client, socket).unwrap().text(), "hello");
    client.close_idle();

    // Of all kinds of uploads what arrives is what was sent.
    let mut number = 0;
    let mut check = |base: &mut EventBase, request: libevent2::http::ClientRequest, body: &[u8]| {
        let answer = ask(base, &client, request).unwrap();
        assert!([201, 204].contains(&answer.status.as_u16()), "{answer:?}");
        let path = nginx.dir.join(format!("www/up/{number}"));
        assert!(fs::read(path).unwrap() == body, "{number}");
        number += 1;
    };
    let text = b"0123456789".repeat(300_000);
    let put = |number: usize| client.put(&nginx.url(&format!("/up/{number}"))).unwrap();
    check(&mut base, put(0).body(text.clone()), &text);
    check(
        &mut base,
        put(1).body(text.clone()).expect_continue(),
        &text,
    );
    let mut pieces = text
        .clone()
        .chunks(70_000)
        .map(<[u8]>::to_vec)
        .collect::<Vec<_>>()
        .into_iter();
    let upload = put(2).upload(None, move |upload| {
        upload.on_drain(move |upload| match pieces.next() {
            Some(piece) => upload.send(&piece),
            None => upload.finish(),
        });
    });
    check(&mut base, upload, &text);
    let file = File::open(nginx.dir.join("www/up/0")).unwrap();
    check(&mut base, put(3).file(file).unwrap(), &text);
    // It refuses by the head, and does not read the body.
    let refused = client
        .put(&nginx.url("/small/x"))
        .unwrap()
        .body(text.clone());
    assert_eq!(
        ask(&mut base, &client, refused).unwrap().status.as_u16(),
        413
    );
    let refused = client
        .put(&nginx.url("/small/x"))
        .unwrap()
        .body(text)
        .expect_continue();
    assert_eq!(
        ask(&mut base, &client, refused).unwrap().status.as_u16(),
        413
    );

    // nginx closes what is idle for a second.
    assert_eq!(
        fetch(&mut base, &client, &nginx.url("/hello.txt")).text(),
        "hello"
    );
    assert_eq!(client.idle_connections(), 1);
    thread::sleep(Duration::from_millis(1500));
    let post = client.put(&nginx.url("/up/again")).unwrap().body("once");
    assert_eq!(
        ask(&mut base, &client, post).unwrap().status,
        StatusCode::CREATED
    );

    let all: Vec<_> = (0..1000)
        .map(|_| begin(client.get(&nginx.url("/hello.txt")).unwrap(), &client))
        .collect();
    while client.pending() > 0 {
        base.run().unwrap();
    }
    for (slot, _) in all {
        assert_eq!(slot.borrow_mut().take().unwrap().unwrap().text(), "hello");
    }
}

#[test]
fn a_gibibyte_takes_little_memory() {
    let _bounded = bounded();
    let Some((nginx, secure)) = nginx() else {
        return;
    };
    let mut options = ClientOptions::default();
    options.tls = Some(rustls_ends::connector().into());
    let mut base = EventBase::new().unwrap();
    let client = Client::with(&base, options).unwrap();
    let before = peak();
    assert_eq!(
        length_of(&mut base, &client, &nginx.url("/big")),
        1024 * MIB
    );
    let upload = client.put(&nginx.url("/up/big")).unwrap();
    let file = File::open(nginx.dir.join("www/big")).unwrap();
    let upload = upload.file(file).unwrap();
    assert_eq!(
        ask(&mut base, &client, upload).unwrap().status,
        StatusCode::CREATED
    );
    assert_eq!(
        fs::metadata(nginx.dir.join("www/up/big")).unwrap().len(),
        1024 * MIB
    );
    fs::remove_file(nginx.dir.join("www/up/big")).unwrap();
    // By TLS a part of it: the debug build takes its time.
    let part = File::options()
        .write(true)
        .open(nginx.dir.join("www/big"))
        .unwrap();
    part.set_len(64 * MIB).unwrap();
    let https = format!("https://localhost:{secure}");
    assert_eq!(
        length_of(&mut base, &client, &format!("{https}/big")),
        64 * MIB
    );
    let upload = client.put(&format!("{https}/up/big")).unwrap();
    let file = File::open(nginx.dir.join("www/big")).unwrap();
    let upload = upload.file(file).unwrap();
    assert_eq!(
        ask(&mut base, &client, upload).unwrap().status,
        StatusCode::CREATED
    );
    let grown = peak() - before;
    // AddressSanitizer keeps what was freed.
    assert!(cfg!(asan) || grown < 32 * MIB, "{grown} bytes more");
}

#[test]
fn apache_is_understood() {
    let _bounded = bounded();
    let Some(command) = peer("apache2") else {
        return;
    };
    let (apache, _) = Daemon::start(command, |dir, port, _| {
        let path = dir.display();
        let modules = "/usr/lib/apache2/modules";
        let mut config = String::new();
        for name in [
            "mpm_event",
            "authz_core",
            "dir",
            "deflate",
            "filter",
            "alias",
        ] {
            config += &format!("LoadModule {name}_module {modules}/mod_{name}.so\n");
        }
        config += &format!(
            "ServerName localhost\nListen 127.0.0.1:{port}\nPidFile {path}/pid\n\
             ErrorLog {path}/error.log\nMutex file:{path}\nDocumentRoot {path}/www\n\
             User nobody\nGroup nogroup\nKeepAliveTimeout 1\nRedirect 301 /old /hello.txt\n\
             <Location /inc>\nSetOutputFilter DEFLATE\n</Location>\n\
             Alias /inc {path}/www\n"
        );
        fs::write(dir.join("apache.conf"), config).unwrap();
        let file = dir.join("apache.conf").display().to_string();
        vec!["-DFOREGROUND".into(), "-f".into(), file]
    });
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let answer = fetch(&mut base, &client, &apache.url("/hello.txt"));
    assert_eq!(answer.text(), "hello");
    assert!(answer.header("server").unwrap().starts_with("Apache"));
    assert_eq!(
        fetch(&mut base, &client, &apache.url("/old")).text(),
        "hello"
    );
    assert_eq!(
        fetch(&mut base, &client, &apache.url("/none"))
            .status
            .as_u16(),
        404
    );
    // What it squeezes comes in chunks.
    let numbers = (0..300_000u32).map(|number| number.wrapping_mul(2_654_435_761).to_string());
    fs::write(apache.dir.join("www/text"), numbers.collect::<String>()).unwrap();
    let squeezed = client.get(&apache.url("/inc/text")).unwrap();
    let squeezed = squeezed.header("accept-encoding", "gzip");
    let squeezed = ask(&mut base, &client, squeezed).unwrap();
    assert_eq!(squeezed.header("transfer-encoding"), Some("chunked"));
    assert!(squeezed.body.starts_with(&[0x1f, 0x8b]));
    // It answers before the body has come, and may close.
    for expect in [false, true] {
        let put = client
            .put(&apache.url("/hello.txt"))
            .unwrap()
            .body(vec![b'x'; 8 << 20]);
        let put = if expect { put.expect_continue() } else { put };
        assert_eq!(
            ask(&mut base, &client, put).unwrap().status,
            StatusCode::METHOD_NOT_ALLOWED
        );
    }
    assert_eq!(
        length_of(&mut base, &client, &apache.url("/big")),
        1024 * MIB
    );
    thread::sleep(Duration::from_millis(1500));
    let post = client.post(&apache.url("/hello.txt")).unwrap().body("x");
    assert!(
        ask(&mut base, &client, post).is_ok(),
        "an idle connection has ended meanwhile"
    );
}

#[test]
fn httpbin_is_understood() {
    let _bounded = bounded();
    // Debian's package is for Debian's Python.
    let python = "/usr/bin/python3";
    let mut probe = Command::new(python);
    let probe = probe.args(["-c", "import httpbin"]).stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        assert!(
            env::var_os("LIBEVENT2_PEERS").is_none(),
            "install python3-httpbin"
        );
        eprintln!("skipped: httpbin is not there");
        return;
    }
    let (httpbin, _) = Daemon::start(Command::new(python), |_, port, _| {
        ["-m", "httpbin.core", "--port", &port.to_string()]
            .map(str::to_owned)
            .to_vec()
    });
    let mut options = ClientOptions::default();
    #[cfg(feature = "cookies")]
    {
        options.cookies = true;
    }
    options.timeouts.total = Some(Duration::from_secs(20));
    let mut base = EventBase::new().unwrap();
    let client = Client::with(&base, options).unwrap();
    let mut get = |path: &str| fetch(&mut base, &client, &httpbin.url(path));
    let squeezed = |answer: &Answer| answer.text().replace([' ', '\n'], "");
    assert!(squeezed(&get("/get?a=b&c=%C3%A4")).contains("\"a\":\"b\""));
    assert_eq!(get("/status/418").status.as_u16(), 418);
    assert_eq!(get("/status/204").body.len(), 0);
    assert_eq!(get("/redirect/3").url, httpbin.url("/get"));
    assert_eq!(get("/relative-redirect/2").url, httpbin.url("/get"));
    assert_eq!(get("/stream/5").text().lines().count(), 5);
    assert_eq!(get("/stream-bytes/100000?seed=1").body.len(), 100_000);
    assert_eq!(
        get("/drip?duration=1&numbytes=5&code=200&delay=0")
            .body
            .len(),
        5
    );
    assert_eq!(get("/bytes/5000?seed=2").body.len(), 5000);
    #[cfg(feature = "cookies")]
    assert!(squeezed(&get("/cookies/set?k=v")).contains("{\"cookies\":{\"k\":\"v\"}}"));
    let url = httpbin
        .url("/basic-auth/user/secret")
        .replace("http://", "http://user:secret@");
    assert_eq!(fetch(&mut base, &client, &url).status, StatusCode::OK);
    let form = client
        .post(&httpbin.url("/post"))
        .unwrap()
        .form([("name", "ä b")]);
    let answer = ask(&mut base, &client, form).unwrap();
    assert!(
        squeezed(&answer).contains("\"form\":{\"name\":\"\\u00e4b\"}"),
        "{}",
        answer.text()
    );
    let patch = client
        .request(libevent2::http::Method::PATCH, &httpbin.url("/patch"))
        .unwrap();
    let answer = ask(&mut base, &client, patch.body("data")).unwrap();
    assert!(
        squeezed(&answer).contains("\"data\":\"data\""),
        "{}",
        answer.text()
    );
    let late = client
        .get(&httpbin.url("/delay/10"))
        .unwrap()
        .timeout(Duration::from_millis(300));
    let error = kind(ask(&mut base, &client, late));
    assert!(
        matches!(error, ClientErrorKind::TimedOut(Phase::Total)),
        "{error:?}"
    );
}
