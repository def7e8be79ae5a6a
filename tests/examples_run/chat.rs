use crate::common::bounded;
use crate::program::{Program, connect};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

struct Guest(BufReader<TcpStream>);

impl Guest {
    /// Comes in, and is there when this returns.
    fn enter(port: u16) -> Self {
        let mut guest = Guest(BufReader::new(connect(port)));
        assert!(guest.hear().starts_with("* you are guest"));
        guest
    }

    fn say(&mut self, text: &str) {
        let line = format!("{text}\n");
        self.0.get_mut().write_all(line.as_bytes()).unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "{line:?}");
        line.pop();
        line
    }
}

/// Three who know of each other.
fn three(server: &Program) -> [Guest; 3] {
    let port = server.port();
    let mut guests = [(); 3].map(|()| Guest::enter(port));
    assert_eq!(guests[0].hear(), "* guest2 joins");
    assert_eq!(guests[0].hear(), "* guest3 joins");
    assert_eq!(guests[1].hear(), "* guest3 joins");
    guests
}

#[test]
fn a_line_goes_to_everybody_else() {
    let _watchdog = bounded();
    let server = Program::start("chat", &["0"]);
    let [mut one, mut two, mut three] = three(&server);
    one.say("hello");
    two.say("I heard you\r");
    assert_eq!(two.hear(), "guest1: hello");
    assert_eq!(three.hear(), "guest1: hello");
    assert_eq!(three.hear(), "guest2: I heard you");
    assert_eq!(one.hear(), "guest2: I heard you");
}

#[test]
fn a_line_may_come_in_pieces_and_several_at_once() {
    let _watchdog = bounded();
    let server = Program::start("chat", &["0"]);
    let [mut one, mut two, _three] = three(&server);
    for piece in ["hel", "lo\nhow are", " you\n/who\n"] {
        one.0.get_mut().write_all(piece.as_bytes()).unwrap();
    }
    assert_eq!(two.hear(), "guest1: hello");
    assert_eq!(two.hear(), "guest1: how are you");
    assert_eq!(one.hear(), "* here: guest1, guest2, guest3");
}

#[test]
fn names_are_changed_once_and_for_one() {
    let _watchdog = bounded();
    let server = Program::start("chat", &["0"]);
    let [mut one, mut two, _three] = three(&server);
    one.say("/nick Ada");
    assert_eq!(one.hear(), "* you are Ada now");
    assert_eq!(two.hear(), "* guest1 is Ada now");
    two.say("/nick Ada");
    assert_eq!(two.hear(), "* Ada is here already");
    for wrong in ["", "a b", "abcdefghijklmnopq", "a\u{7}b"] {
        two.say(&format!("/nick {wrong}"));
        assert!(two.hear().starts_with("* a name is 1 to 16"), "{wrong:?}");
    }
    two.say("/dance");
    assert_eq!(two.hear(), "* there is /nick, /who and /quit, no /dance");
    two.say("hello Ada");
    assert_eq!(one.hear(), "guest2: hello Ada");
}

#[test]
fn who_leaves_is_named() {
    let _watchdog = bounded();
    let server = Program::start("chat", &["0"]);
    let [mut one, mut two, three] = three(&server);
    drop(three);
    assert_eq!(one.hear(), "* guest3 leaves");
    assert_eq!(two.hear(), "* guest3 leaves");
    two.say("/quit\nnobody hears this");
    assert_eq!(one.hear(), "* guest2 leaves");
    one.say("/who");
    assert_eq!(one.hear(), "* here: guest1");
    let mut rest = Vec::new();
    let _ = two.0.read_to_end(&mut rest);
    assert!(rest.is_empty());
}

#[test]
fn a_line_without_end_ends_only_its_own_connection() {
    let _watchdog = bounded();
    let server = Program::start("chat", &["0"]);
    let [mut one, mut two, mut three] = three(&server);
    // The longest that may be, and one more byte.
    let longest = "x".repeat(1024);
    one.say(&longest);
    assert_eq!(two.hear(), format!("guest1: {longest}"));
    assert_eq!(three.hear(), format!("guest1: {longest}"));
    one.say(&format!("{longest}x"));
    assert_eq!(two.hear(), "* guest1 says too much at once");
    assert_eq!(three.hear(), "* guest1 says too much at once");
    let _ = two.0.get_mut().write_all(&[b'x'; 100_000]);
    assert_eq!(three.hear(), "* guest2 says too much at once");
}

#[test]
fn nobody_does_things_to_anothers_terminal() {
    let _watchdog = bounded();
    let server = Program::start("chat", &["0"]);
    let [mut one, mut two, _three] = three(&server);
    one.0.get_mut().write_all(b"\x1b[2Jboo\xff\n").unwrap();
    assert_eq!(two.hear(), "guest1:  [2Jboo\u{fffd}");
}

#[test]
fn who_does_not_read_has_to_go_and_the_others_miss_nothing() {
    let _watchdog = bounded();
    let server = Program::start("chat", &["0"]);
    let [mut talker, mut listener, deaf] = three(&server);
    let text = "y".repeat(1000);
    let mut said = 0;
    let mut heard = 0;
    // In turns, so that the listener keeps up.
    'talk: loop {
        for _ in 0..100 {
            talker.say(&text);
        }
        said += 100;
        assert!(said < 100_000, "the deaf one stays");
        while heard < said {
            let line = listener.hear();
            if line == "* guest3 reads too slowly" {
                break 'talk;
            }
            assert_eq!(line.len(), "guest1: ".len() + text.len());
            heard += 1;
        }
    }
    while heard < said {
        assert!(listener.hear().ends_with(&text));
        heard += 1;
    }
    assert_eq!(talker.hear(), "* guest3 reads too slowly");
    listener.say("I am here");
    assert_eq!(talker.hear(), "guest2: I am here");
    server.has_less_than(16);
    drop(deaf);
}

#[test]
fn an_interrupt_closes_the_room() {
    let _watchdog = bounded();
    let server = Program::start("chat", &["0"]);
    let [mut one, mut two, mut three] = three(&server);
    server.signal(libc::SIGINT);
    for guest in [&mut one, &mut two, &mut three] {
        let read = guest.0.get_ref();
        read.set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut text = String::new();
        guest.0.read_to_string(&mut text).unwrap();
        assert_eq!(text, "* the room closes\n");
    }
    let end = server.end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.stderr, "");
}
