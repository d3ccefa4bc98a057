//! What a stranger may send as an avatar: so many bytes, so many pixels, so much of our memory, and no more (A05, sec.U3).

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::avatars::{picture, place, put};
use crate::harness::TestStudio;
use crate::harness::process::Home;
use crate::harness::studio::{Answer, PASSWORD};
use crate::harness::visitor::Visitor;

const LIMIT: usize = 5 * 1024 * 1024;
/// sec.U3: what a refused upload may cost, in kB.
const MEMORY: u64 = 64 * 1024;

/// A chunk of a PNG.
fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [name.as_slice(), data].concat();
    let of_a_byte =
        |byte: u32| (0..8).fold(byte, |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 });
    let table: Vec<u32> = (0..256).map(of_a_byte).collect();
    let crc = named.iter().fold(!0_u32, |crc, byte| crc >> 8 ^ table[((crc ^ u32::from(*byte)) & 0xFF) as usize]);
    [&u32::try_from(data.len()).expect("short").to_be_bytes(), named.as_slice(), &(!crc).to_be_bytes()].concat()
}

/// A whole picture of exactly so many bytes: a chunk that no decoder knows fills it up.
fn of_size(bytes: usize) -> Vec<u8> {
    let picture = picture(77);
    // Before the end, which is an empty chunk.
    let (head, end) = picture.split_at(picture.len() - 12);
    let filled = [head, &chunk(b"fiLl", &vec![b'x'; bytes - picture.len() - 12]), end].concat();
    assert_eq!(filled.len(), bytes);
    filled
}

/// A PNG of one bit a pixel that unpacks to as many zeros as its header says, as far as five megabytes reach.
fn bomb(edge: u32) -> Vec<u8> {
    let header = [&edge.to_be_bytes()[..], &edge.to_be_bytes(), &[1, 0, 0, 0, 0]].concat();
    // Stored deflate blocks of zeros: what a decoder gets that starts on it.
    let mut data = vec![0x78, 0x01];
    for _ in 0..70 {
        data.extend([0, 0xFF, 0xFF, 0, 0]);
        data.extend(vec![0; 0xFFFF]);
    }
    let parts = [chunk(b"IHDR", &header), chunk(b"IDAT", &data), chunk(b"IEND", &[])].concat();
    [b"\x89PNG\r\n\x1a\n".as_slice(), &parts].concat()
}

/// A GIF of so many frames of one pixel.
fn frames(count: usize) -> Vec<u8> {
    let screen = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xFF\xFF\xFF";
    let frame = b",\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0";
    [screen.as_slice(), &frame.repeat(count), b";"].concat()
}

fn error(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a05_five_mebibytes_are_taken_and_one_byte_more_is_not() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let url = place(&studio, &ada).await;
    let too_large = (413, "image_too_large".to_owned());
    assert_eq!(error(&put(&studio, &url, of_size(LIMIT + 1)).await), too_large);
    // The same without a length: it is counted as it comes.
    let mut socket = TcpStream::connect(studio.node.address).await.expect("the node listens");
    let path = url.strip_prefix(studio.url.as_str()).expect("ours");
    let head =
        format!("PUT {path} HTTP/1.1\r\nhost: atelier\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n");
    let mut message = head.into_bytes();
    for part in of_size(LIMIT + 1).chunks(100_000) {
        message.extend([format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat());
    }
    message.extend(b"0\r\n\r\n");
    socket.write_all(&message).await.expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("image_too_large"), "{answer}");
    // One that is announced as far too large is not even waited for.
    let mut socket = TcpStream::connect(studio.node.address).await.expect("the node listens");
    let head = format!("PUT {path} HTTP/1.1\r\nhost: atelier\r\ncontent-length: 1000000000\r\n\r\n");
    socket.write_all(head.as_bytes()).await.expect("sent");
    let mut start = [0; 12];
    let answered = tokio::time::timeout(Duration::from_secs(30), socket.read_exact(&mut start)).await;
    answered.expect("answered at once").expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 413");
    // A body that breaks off is no upload.
    let mut socket = TcpStream::connect(studio.node.address).await.expect("the node listens");
    let head = format!("PUT {path} HTTP/1.1\r\nhost: atelier\r\ncontent-length: 1000\r\n\r\nabc");
    socket.write_all(head.as_bytes()).await.expect("sent");
    drop(socket);
    // None of them used the ticket up; the one that broke off gives it back when it is noticed.
    let taken = crate::harness::process::until("the ticket to be put back", async || {
        let answer = put(&studio, &url, of_size(LIMIT)).await;
        (answer.status.as_u16() != 409).then_some(answer)
    });
    let taken = taken.await;
    assert_eq!(taken.status.as_u16(), 200, "exactly 5 MiB: {}", taken.text);
    assert_eq!(studio.events_named("AvatarChanged").await, 1);
    studio.stop().await;
}

/// The most memory a process ever had, in kB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process of ours");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}

async fn signed_up(home: &Home, visitor: &Visitor) -> String {
    let sign_up = "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code } } }";
    let input =
        json!({ "input": { "email": "ada@example.com", "password": PASSWORD, "username": "ada", "minimumAge": 18 } });
    visitor.graphql(None, sign_up, input).await;
    let token = crate::harness::process::until("the mail", async || {
        let mails = std::fs::read_dir(home.data().join("mailbox")).ok()?;
        let mails = mails.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok());
        let link = mails.into_iter().find_map(|mail| Some(mail.split_once("/verify-email?token=")?.1.to_owned()))?;
        Some(link.lines().next().expect("a token").trim().to_owned())
    });
    let verify = "mutation($token: String!) { verifyEmail(input: {token: $token, password: \"correct-horse-1\"}) { userErrors { code } } }";
    visitor.graphql(None, verify, json!({ "token": token.await })).await;
    visitor.sign_in("ada@example.com", PASSWORD).await
}

async fn send(visitor: &Visitor, token: &str, bytes: Vec<u8>) -> (u16, Value) {
    let request = "mutation { requestAvatarUpload { upload { url } userErrors { code } } }";
    let asked = visitor.graphql(Some(token), request, json!({})).await;
    let url = asked["upload"]["url"].as_str().expect("a place");
    let path = url.strip_prefix(visitor.url.as_str()).expect("ours");
    let answer = visitor.request("PUT", path).body(bytes).send().await.expect("the process answers");
    let answer = Answer::of(answer).await;
    (answer.status.as_u16(), answer.json())
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn u3_bombs_and_polyglots_are_refused_within_64_mebibytes() {
    let home = Home::open().await;
    let mut served = home.serve(&[]);
    let visitor = served.listening().await;
    let token = signed_up(&home, &visitor).await;
    assert_eq!(send(&visitor, &token, of_size(LIMIT)).await.0, 200, "warm");
    let before = peak(served.pid());
    let zip = b"PK\x03\x04\x14\0\0\0\0\0 and its directory PK\x05\x06".as_slice();
    let html = b"<html><body><script>alert(1)</script></body></html>".as_slice();
    for (what, file) in [
        ("50,000 x 50,000 of one bit", bomb(50_000)),
        ("16,385 x 16,385", bomb(16_385)),
        ("10,000 frames", frames(10_000)),
        ("300,000 frames", frames(300_000)),
        ("a picture and a page", [&picture(3), html].concat()),
        ("a picture and a zip", [&picture(3), zip].concat()),
        ("a page and a picture", [html, &picture(3)].concat()),
        ("half a picture", of_size(LIMIT)[..LIMIT / 2].to_vec()),
        ("zeros", vec![0; LIMIT]),
        ("an SVG", b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>".to_vec()),
    ] {
        let (status, answer) = send(&visitor, &token, file).await;
        assert_eq!((status, &answer["error"]), (422, &json!("invalid_image")), "{what}");
        let extra = peak(served.pid()) - before;
        assert!(extra < MEMORY, "{what}: {extra} kB");
    }
    // The first frame of a few is an avatar.
    assert_eq!(send(&visitor, &token, frames(3)).await.0, 200);
    served.stop("INT").await;
}
