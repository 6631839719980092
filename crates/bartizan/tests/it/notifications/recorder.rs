//! Receivers of all kinds: an HTTP server that takes everything and remembers it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::seats::Seat;

/// Remembers every request: the path, and what it says.
pub struct Recorder {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Recorder {
    /// Serves until the test ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::default());
        let remembered = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let remembered = remembered.clone();
                std::thread::spawn(move || serve(stream, &remembered).ok());
            }
        });
        Self { address, requests }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a receiver was told by one of the programs, in order.
    pub fn told(&self, seat: Seat, receiver: &str) -> Vec<Value> {
        let path = format!("/{}/{receiver}", seat.name());
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|(asked, _)| *asked == path).map(|(_, told)| told.clone()).collect()
    }

    /// All receivers that were told something by either.
    pub fn receivers(&self) -> BTreeSet<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|(path, _)| path.splitn(3, '/').nth(2).unwrap().to_owned()).collect()
    }
}

fn serve(stream: TcpStream, remembered: &Mutex<Vec<(String, Value)>>) -> std::io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone()?), stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        let (mut length, mut kind, mut chunked) = (0, String::new(), false);
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else { break };
            let value = value.trim();
            match &*name.to_ascii_lowercase() {
                "content-length" => length = value.parse().unwrap(),
                "content-type" => kind = value.to_owned(),
                "transfer-encoding" => chunked = true,
                _ => {}
            }
        }
        let body = if chunked { read_chunks(&mut reader)? } else { read_exactly(&mut reader, length)? };
        let text = String::from_utf8(body).unwrap();
        let mut body: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        leave_out_what_is_newer(&mut body);
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let told = json!({ "method": method, "query": query, "type": kind, "body": body });
        remembered.lock().unwrap().push((path.to_owned(), told));
        // Some kinds look into the answer; the real program ends when that of Telegram names no message.
        let answer = r#"{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":-42,"type":"group"}},"status":"success"}"#;
        let status =
            if path.ends_with("/pagerduty") || path.contains("opsgenie") { "202 Accepted" } else { "200 OK" };
        let length = answer.len();
        write!(
            writer,
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{answer}"
        )?;
    }
}

/// Newer versions than the real program say more.
fn leave_out_what_is_newer(body: &mut Value) {
    let Some(fields) = body.as_object_mut() else { return };
    fields.remove("notification_reason");
    fields.remove("routeLabels");
}

fn read_exactly(reader: &mut impl Read, length: usize) -> std::io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

fn read_chunks(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).unwrap();
        body.extend(read_exactly(reader, length)?);
        reader.read_line(&mut line)?;
        if length == 0 {
            return Ok(body);
        }
    }
}
