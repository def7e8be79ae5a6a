//! A folder as a tar.

use crate::common::bounded;
use crate::common::peers::peer;
use crate::program::{Folder, Server};
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn a_folder_comes_as_a_tar_that_holds_what_is_shown() {
    let _bounded = bounded();
    let folder = Folder::new();
    let big: Vec<u8> = (0..500_000u32).flat_map(u32::to_le_bytes).collect();
    let long = "n".repeat(200);
    folder.put("top/big.bin", &big);
    folder.put("top/empty", "");
    folder.put("top/block", vec![b'x'; 512]);
    folder.put(&format!("top/sub/{long}.txt"), "long name");
    folder.put("top/ä €.txt", "not ASCII");
    folder.put("top/.hidden", "no");
    fs::create_dir(folder.path("top/nothing")).unwrap();
    symlink("block", folder.path("top/link")).unwrap();
    // It must not go round and round.
    symlink("..", folder.path("top/sub/up")).unwrap();
    symlink("/etc", folder.path("top/out")).unwrap();
    let server = Server::start(&folder.0);

    let answer = server.curl("top/?archive=tar");
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/x-tar"))
    );
    assert_eq!(
        answer.header("content-disposition"),
        Some("attachment; filename*=UTF-8''top.tar")
    );
    assert_eq!(answer.body.len() % 512, 0);
    let head = server.curl_with("top/?archive=tar", &["-I"]);
    assert_eq!((head.status, head.text()), (200, ""));
    assert!(server.curl("top/").text().contains("?archive=tar"));

    let Some(mut tar) = peer("tar") else { return };
    folder.put("out.tar", &answer.body);
    fs::create_dir(folder.path("out")).unwrap();
    let status = tar
        .arg("-xf")
        .arg(folder.path("out.tar"))
        .arg("-C")
        .arg(folder.path("out"))
        .status();
    assert!(status.unwrap().success());
    let read = |name: &str| fs::read(folder.path("out/top").join(name)).unwrap();
    assert!(read("big.bin") == big);
    assert_eq!(read("empty"), b"");
    assert_eq!(read("block"), [b'x'; 512]);
    assert_eq!(read("link"), [b'x'; 512]);
    assert_eq!(read(&format!("sub/{long}.txt")), b"long name");
    assert_eq!(read("ä €.txt"), b"not ASCII");
    assert!(folder.path("out/top/nothing").is_dir());
    for name in [".hidden", "out", "sub/up"] {
        assert!(!folder.path("out/top").join(name).exists(), "{name}");
    }
    let time = |name: &str| {
        let modified = fs::metadata(folder.path(name)).unwrap().modified().unwrap();
        modified
            .duration_since(std::time::SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    for name in ["top/block", "top/sub", "top"] {
        assert_eq!(time(name), time(&format!("out/{name}")), "{name}");
    }
}

#[test]
fn a_folder_that_shows_no_listing_is_no_archive() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("index.html", "the page");
    folder.put("secret.txt", "nobody links to it");
    let server = Server::start(&folder.0);
    assert_eq!(server.curl("?archive=tar").text(), "the page");
}
