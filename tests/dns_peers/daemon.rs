//! The daemons: a name server of the system's, on a port of the test's own.

use crate::common::peers::peer;
use crate::dns_common::Message;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process};

/// A port of this machine that nobody has, for datagrams and for connections.
pub fn free_port() -> SocketAddr {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap();
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// A directory that goes at the end of the test.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("libevent2-dns-{}-{next}", process::id()));
        fs::create_dir_all(&dir).unwrap();
        Dir(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A name server's process; it does not outlive this.
pub struct Daemon {
    command: Command,
    child: Child,
    address: SocketAddr,
}

impl Daemon {
    fn start(mut command: Command, address: SocketAddr) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        let child = command.spawn().unwrap();
        let mut daemon = Daemon {
            command,
            child,
            address,
        };
        daemon.wait_until_it_answers();
        daemon
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The same again, on the same port.
    pub fn restart(&mut self) {
        self.kill();
        self.child = self.command.spawn().unwrap();
        self.wait_until_it_answers();
    }

    /// Whatever the answer is.
    fn wait_until_it_answers(&mut self) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.address).unwrap();
        let pause = Duration::from_millis(50);
        socket.set_read_timeout(Some(pause)).unwrap();
        let question = Message {
            id: 1,
            flags: 0x100,
            questions: 1,
            question: b"\x04host\x07example\x04test\0\0\x01\0\x01".to_vec(),
            counts: [0; 3],
            records: Vec::new(),
        };
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            let _ = socket.send(&question.bytes());
            if socket.recv(&mut [0; 512]).is_ok() {
                return;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{:?}: {status}", self.command);
            }
            // A refusal comes at once, where there is nobody yet.
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{:?} does not answer", self.command);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The zone that the tests ask for: what it has lives as long as it says here.
fn zone() -> String {
    let mut zone = "\
$ORIGIN example.test.
$TTL 300
@ 3600 IN SOA ns root 1 3600 600 86400 45
@ IN NS ns
ns IN A 127.0.0.1
host 600 IN A 192.0.2.7
host 60 IN AAAA 2001:db8::7
ipv4 IN A 192.0.2.4
www 30 IN CNAME alias
alias 20 IN CNAME host
away IN CNAME nobody
"
    .to_owned();
    for n in 0..50 {
        zone += &format!("many IN A 198.51.100.{n}\n");
    }
    for n in 0..20 {
        zone += &format!("twenty IN A 198.51.100.{n}\n");
    }
    zone
}

const REVERSE_IPV4: &str = "\
$ORIGIN 2.0.192.in-addr.arpa.
@ 3600 IN SOA ns.example.test. root.example.test. 1 3600 600 86400 45
@ 300 IN NS ns.example.test.
7 77 IN PTR host.example.test.
";

const REVERSE_IPV6: &str = "\
$ORIGIN 8.b.d.0.1.0.0.2.ip6.arpa.
@ 3600 IN SOA ns.example.test. root.example.test. 1 3600 600 86400 45
@ 300 IN NS ns.example.test.
7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 66 IN PTR host6.example.test.
";

/// unbound with these zones, and three more: one that it refuses, one that it is silent about, and
/// one that it may ask nobody about, so that it fails.
pub fn unbound() -> Option<(Daemon, Dir)> {
    let mut command = peer("unbound")?;
    let (dir, address) = (Dir::new(), free_port());
    let mut zones = String::new();
    for (name, text) in [
        ("example.test", &*zone()),
        ("2.0.192.in-addr.arpa", REVERSE_IPV4),
        ("8.b.d.0.1.0.0.2.ip6.arpa", REVERSE_IPV6),
    ] {
        let file = dir.write(name, text);
        zones += &format!(
            "auth-zone:\n name: {name}\n zonefile: {}\n for-upstream: no\n",
            file.display()
        );
    }
    let config = format!(
        "\
server:
 interface: 127.0.0.1@{port}
 port: {port}
 do-daemonize: no
 chroot: \"\"
 username: \"\"
 directory: \"{dir}\"
 pidfile: \"\"
 use-syslog: no
 logfile: log
 verbosity: 0
 module-config: iterator
 hide-identity: yes
 local-zone: test. nodefault
 local-zone: 2.0.192.in-addr.arpa. nodefault
 local-zone: 8.b.d.0.1.0.0.2.ip6.arpa. nodefault
 local-zone: refused.test. always_refuse
 local-zone: silent.test. deny
 do-not-query-localhost: yes
remote-control:
 control-enable: no
{zones}\
forward-zone:
 name: broken.test
 forward-addr: 127.0.0.1@9
",
        port = address.port(),
        dir = dir.path().display(),
    );
    let file = dir.write("unbound.conf", &config);
    command.arg("-d").arg("-c").arg(file);
    Some((Daemon::start(command, address), dir))
}

/// dnsmasq with `more` options.
pub fn dnsmasq(more: &[String]) -> Option<(Daemon, Dir)> {
    let mut command = peer("dnsmasq")?;
    let (dir, address) = (Dir::new(), free_port());
    let empty = dir.write("empty", "");
    command
        .arg("--keep-in-foreground")
        .arg(format!("--conf-file={}", empty.display()))
        .arg(format!("--port={}", address.port()))
        .args(["--listen-address=127.0.0.1", "--bind-interfaces"])
        .args(["--no-resolv", "--no-hosts", "--pid-file=", "--user="])
        .args(["--log-facility=/dev/null", "--local=/example.test/"])
        .args([
            "--host-record=host.example.test,192.0.2.7,2001:db8::7,77",
            "--host-record=ipv4.example.test,192.0.2.4",
            "--cname=alias.example.test,host.example.test",
            "--cname=www.example.test,alias.example.test",
            "--txt-record=text.example.test,only text",
        ])
        .args(more);
    Some((Daemon::start(command, address), dir))
}
