//! A small HTTP server on this machine, faithful or not.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// How one request is answered.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// As asked, with ranges.
    Faithful,
    /// The whole, whatever range is asked for.
    IgnoresRanges,
    /// As asked, but the connection ends after so many bytes of the body.
    Drops(usize),
    /// Without a length, and the connection ends after so many bytes of the body.
    DropsWithoutLength(usize),
    /// Without a length, and this content.
    Streams(Vec<u8>),
    /// Another content.
    Other(Vec<u8>),
    /// A range that starts elsewhere.
    WrongRange,
    /// A status and nothing else.
    Status(u16),
    /// Status 302 to another path on this server.
    Redirect(&'static str),
}

/// What was asked for: the path, and the first byte of the range if there is one.
pub(super) type Request = (String, Option<usize>);

/// A server of one content under every path; it ends with the process.
pub(super) struct Server {
    /// Its address, `http://127.0.0.1:PORT`.
    pub(super) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers the first requests by `answers`, the others faithfully.
    pub(super) fn start(content: &[u8], answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, content) = (Arc::clone(&requests), content.to_vec());
        let mut answers: VecDeque<Answer> = answers.into_iter().collect();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = read_request(&stream);
                let range = request.1;
                log.lock().unwrap().push(request);
                let answer = answers.pop_front().unwrap_or(Answer::Faithful);
                // A client may hang up early; that is its right.
                let _ = write_answer(&mut stream, &answer, &content, range);
            }
        });
        Self { url, requests }
    }

    /// The requests so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The first bytes of the ranges in the requests so far.
    pub(super) fn ranges(&self) -> Vec<Option<usize>> {
        self.requests().into_iter().map(|(_, range)| range).collect()
    }
}

fn read_request(stream: &TcpStream) -> Request {
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let path = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let range = headers.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let start = value.strip_prefix("bytes=")?.strip_suffix('-')?;
        name.eq_ignore_ascii_case("range").then(|| start.parse().unwrap())
    });
    (path, range)
}

fn write_answer(
    stream: &mut TcpStream,
    answer: &Answer,
    content: &[u8],
    range: Option<usize>,
) -> std::io::Result<()> {
    let start = range.unwrap_or(0);
    let (mut head, body) = match answer {
        Answer::Status(status) => (format!("{status} Status"), &[][..]),
        Answer::Redirect(path) => (format!("302 Found\r\nLocation: {path}"), &[][..]),
        Answer::Other(other) | Answer::Streams(other) => ("200 OK".to_owned(), &other[..]),
        Answer::WrongRange if range.is_some() => (
            format!("206 Part\r\nContent-Range: bytes 7-{}/{}", content.len() - 1, content.len()),
            &content[7..],
        ),
        Answer::IgnoresRanges => ("200 OK".to_owned(), content),
        _ if range.is_none() => ("200 OK".to_owned(), content),
        _ => (
            format!("206 Part\r\nContent-Range: bytes {start}-{}/{}", content.len() - 1, content.len()),
            &content[start..],
        ),
    };
    if !matches!(answer, Answer::DropsWithoutLength(_) | Answer::Streams(_)) {
        head = format!("{head}\r\nContent-Length: {}", body.len());
    }
    write!(stream, "HTTP/1.1 {head}\r\nConnection: close\r\n\r\n")?;
    match answer {
        Answer::Drops(count) | Answer::DropsWithoutLength(count) => stream.write_all(&body[..*count]),
        _ => stream.write_all(body),
    }
}
