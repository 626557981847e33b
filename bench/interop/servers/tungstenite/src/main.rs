//! tokio-tungstenite as a server: tungstenite-server MODE=PORT... See ../../README.md, "What a server does". It knows no compression.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::WebSocketStream;

type Socket = WebSocketStream<TcpStream>;
type LastClose = Arc<Mutex<String>>;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let last = LastClose::default();
        for argument in std::env::args().skip(1) {
            let port = argument.split('=').nth(1).expect("MODE=PORT");
            let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
            tokio::spawn(serve(listener, last.clone()));
        }
        std::future::pending::<()>().await
    });
}

async fn serve(listener: TcpListener, last: LastClose) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let last = last.clone();
        tokio::spawn(async move {
            if let Err(e) = converse(stream, last).await {
                eprintln!("{e}");
            }
        });
    }
}

/// What is asked for: a path and its query.
#[derive(Default)]
struct Asked {
    path: String,
    query: String,
    fields: String,
}

impl Asked {
    fn get(&self, name: &str) -> String {
        let value = self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        unescape(value.unwrap_or(""))
    }

    fn number(&self, name: &str) -> usize {
        self.get(name).parse().unwrap_or(0)
    }
}

fn unescape(s: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), s.bytes());
    while let Some(b) = rest.next() {
        let digit = |d: Option<u8>| (d.unwrap_or(b'0') as char).to_digit(16).unwrap_or(0) as u8;
        bytes.push(if b == b'%' { digit(rest.next()) << 4 | digit(rest.next()) } else { b });
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// The request's fields as a JSON object.
fn fields(request: &Request) -> String {
    let headers = request.headers();
    let field = |name| {
        let values: Vec<_> = headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        format!("{:?}:{:?}", format!("{name}"), values.join(", "))
    };
    format!("{{{}}}", headers.keys().map(field).collect::<Vec<_>>().join(","))
}

#[allow(clippy::result_large_err)] // the library's type
fn answer(asked: &mut Asked, request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    asked.path = request.uri().path().to_string();
    asked.query = request.uri().query().unwrap_or("").to_string();
    asked.fields = fields(request);
    if asked.path == "/refuse" {
        let body = "refused ".repeat(200);
        let refusal = tokio_tungstenite::tungstenite::http::Response::builder()
            .status(asked.number("status") as u16)
            .header("X-Reason", "interop")
            .header("Retry-After", "7")
            .header("Location", "http://127.0.0.1:1/")
            .header("Set-Cookie", "seen=yes; Path=/")
            .header("Content-Length", body.len());
        return Err(refusal.body(Some(body)).unwrap());
    }
    let offered = request.headers().get("Sec-WebSocket-Protocol").and_then(|v| v.to_str().ok()).unwrap_or("");
    let headers = response.headers_mut();
    if let Some(name) = offered.split(',').map(str::trim).find(|name| ["chat.v1", "chat.v2"].contains(name)) {
        headers.insert("Sec-WebSocket-Protocol", name.parse().unwrap());
    }
    headers.insert("X-Served-By", "tungstenite".parse().unwrap());
    headers.insert("Set-Cookie", "seen=yes; Path=/".parse().unwrap());
    if asked.path == "/big" {
        headers.insert("X-Big", "b".repeat(asked.number("bytes")).parse().unwrap());
    }
    Ok(response)
}

async fn converse(stream: TcpStream, last: LastClose) -> Result<(), Error> {
    let mut asked = Asked::default();
    let config = WebSocketConfig::default().max_frame_size(None).max_message_size(None);
    let callback = |request: &Request, response| answer(&mut asked, request, response);
    let mut ws = tokio_tungstenite::accept_hdr_async_with_config(stream, callback, Some(config)).await?;
    match asked.path.as_str() {
        "/drop" => return Ok(()),
        "/close" => {
            let code = (asked.number("code") as u16).into();
            ws.close(Some(CloseFrame { code, reason: asked.get("reason").into() })).await?;
        }
        "/lastclose" => {
            let said = last.lock().unwrap().clone();
            ws.send(Message::text(said)).await?;
            ws.close(None).await?;
        }
        "/headers" => ws.send(Message::text(asked.fields.clone())).await?,
        "/greet" => {
            for n in 0..asked.number("count") {
                let number = n.to_string();
                let dots = ".".repeat(asked.number("size").saturating_sub(number.len()));
                ws.send(Message::text(number + &dots)).await?;
            }
        }
        "/slow" => tokio::time::sleep(Duration::from_millis(500)).await,
        _ => {}
    }
    while let Some(message) = ws.next().await {
        match message? {
            Message::Close(frame) if asked.path == "/echo" => {
                let heard = frame.map(|f| format!("{} {}", u16::from(f.code), f.reason));
                *last.lock().unwrap() = heard.unwrap_or("1005 ".to_string());
            }
            Message::Pong(p) if asked.path == "/ping" => ws.send(Message::text(format!("pong {}", String::from_utf8_lossy(&p)))).await?,
            Message::Text(t) if asked.path == "/ping" => ws.send(Message::Ping(t.into())).await?,
            m @ (Message::Text(_) | Message::Binary(_)) if asked.path == "/fragments" => in_fragments(&mut ws, m).await?,
            m @ (Message::Text(_) | Message::Binary(_)) => ws.send(m).await?,
            _ => {}
        }
    }
    Ok(())
}

async fn in_fragments(ws: &mut Socket, message: Message) -> Result<(), Error> {
    let first = if message.is_text() { Data::Text } else { Data::Binary };
    let data = message.into_data();
    let third = data.len() / 3;
    let fragment = |from, to, op, last| Message::Frame(Frame::message(data.slice(from..to), OpCode::Data(op), last));
    ws.send(fragment(0, third, first, false)).await?;
    ws.send(Message::Ping("between".into())).await?;
    ws.send(fragment(third, 2 * third, Data::Continue, false)).await?;
    ws.send(fragment(2 * third, data.len(), Data::Continue, true)).await
}
