//! A WebSocket server with Rust's tokio-tungstenite, set up for one core: Tokio's runtime of one thread, so that no task
//! changes threads; built with optimisation; no limit on messages, as with the other peers. tungstenite checks UTF-8 and
//! leaves no choice in that; the load is binary.
//!
//!     tungstenite-peer --addr 127.0.0.1:9001 [--mode echo|discard|broadcast|elsewhere] [--cert FILE --key FILE]
//!
//! An echo answers in the task that read. What other tasks send, to all in broadcast and the replies of elsewhere, goes through
//! a channel to a task of each connection, as Tokio advises, and leaves in one write with whatever else is waiting there.
//!
//! It prints "listening ADDRESS" when it listens, so port 0 can be asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt, stream::SplitSink};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message, protocol::WebSocketConfig};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Echo,
    Discard,
    Broadcast,
    Elsewhere,
}

/// What a connection's own writing task is sent by.
type Outbox = UnboundedSender<Message>;

/// All connections of a broadcast, and the task that answers elsewhere.
struct Room {
    mode: Mode,
    members: Mutex<HashMap<u64, Outbox>>,
    replies: UnboundedSender<(Outbox, Message)>,
}

struct Options {
    addr: String,
    mode: Mode,
    cert: Option<String>,
    key: Option<String>,
}

fn options() -> Result<Options, Failure> {
    let mut o = Options { addr: "127.0.0.1:9001".into(), mode: Mode::Echo, cert: None, key: None };
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} lacks its value"))?;
        match flag.as_str() {
            "--addr" => o.addr = value,
            "--cert" => o.cert = Some(value),
            "--key" => o.key = Some(value),
            "--mode" => {
                o.mode = match value.as_str() {
                    "echo" => Mode::Echo,
                    "discard" => Mode::Discard,
                    "broadcast" => Mode::Broadcast,
                    "elsewhere" => Mode::Elsewhere,
                    _ => return Err(format!("--mode {value}: want echo, discard, broadcast or elsewhere").into()),
                }
            }
            _ => return Err(format!("there is no {flag}").into()),
        }
    }
    Ok(o)
}

fn main() -> Result<(), Failure> {
    let o = options()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(serve(o))
}

async fn serve(o: Options) -> Result<(), Failure> {
    let secured = acceptor(&o)?;
    let listener = TcpListener::bind(&o.addr).await?;
    println!("listening {}", listener.local_addr()?);
    let (replies, waiting) = unbounded_channel();
    tokio::spawn(reply(waiting));
    let room = Arc::new(Room { mode: o.mode, members: Mutex::default(), replies });
    let mut last = 0;
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            tokio::task::yield_now().await; // the descriptors have run out
            continue;
        };
        socket.set_nodelay(true)?;
        last += 1;
        let (room, secured, id) = (room.clone(), secured.clone(), last);
        tokio::spawn(async move {
            // How a connection ends is its client's business.
            let _ = match secured {
                Some(tls) => match tls.accept(socket).await {
                    Ok(stream) => converse(stream, room, id).await,
                    Err(_) => Ok(()),
                },
                None => converse(socket, room, id).await,
            };
        });
    }
}

fn acceptor(o: &Options) -> Result<Option<TlsAcceptor>, Failure> {
    let (Some(cert), Some(key)) = (&o.cert, &o.key) else {
        return Ok(None);
    };
    let chain = CertificateDer::pem_file_iter(cert)?.collect::<Result<Vec<_>, _>>()?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

async fn converse<S>(stream: S, room: Arc<Room>, id: u64) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = WebSocketConfig::default().max_frame_size(None).max_message_size(None);
    let mut ws = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await?;
    if matches!(room.mode, Mode::Echo | Mode::Discard) {
        while let Some(message) = ws.next().await {
            let message = message?;
            if room.mode == Mode::Echo && (message.is_text() || message.is_binary()) {
                ws.send(message).await?;
            }
        }
        return Ok(());
    }
    let (sink, mut stream) = ws.split();
    let (outbox, waiting) = unbounded_channel();
    tokio::spawn(write(sink, waiting));
    if room.mode == Mode::Broadcast {
        room.members.lock().unwrap().insert(id, outbox.clone());
    }
    while let Some(Ok(message)) = stream.next().await {
        if message.is_text() || message.is_binary() {
            room.pass(&outbox, message);
        }
    }
    room.members.lock().unwrap().remove(&id);
    Ok(())
}

impl Room {
    /// Who has closed does not take what is sent to it.
    fn pass(&self, from: &Outbox, message: Message) {
        if self.mode == Mode::Elsewhere {
            let _ = self.replies.send((from.clone(), message));
            return;
        }
        for outbox in self.members.lock().unwrap().values() {
            let _ = outbox.send(message.clone()); // the payload is shared
        }
    }
}

async fn reply(mut waiting: UnboundedReceiver<(Outbox, Message)>) {
    while let Some((to, message)) = waiting.recv().await {
        let _ = to.send(message);
    }
}

async fn write<S>(mut sink: SplitSink<WebSocketStream<S>, Message>, mut waiting: UnboundedReceiver<Message>) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = waiting.recv().await {
        sink.feed(message).await?;
        while let Ok(more) = waiting.try_recv() {
            sink.feed(more).await?;
        }
        sink.flush().await?;
    }
    Ok(())
}
