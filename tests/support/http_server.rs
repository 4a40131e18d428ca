//! A server of HTTP on loopback with one file: it knows `Range`, and breaks off, stalls and refuses where it is told to.
#![allow(dead_code, unreachable_pub)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What it does with one request; the file as a whole where nothing else is planned.
#[derive(Debug, Clone)]
pub enum Turn {
    /// The connection ends after so many bytes of the body.
    BreakAt(usize),
    /// A little at a time.
    Trickle,
    /// Another status.
    Status(&'static str),
}

#[derive(Default)]
struct Desk {
    file: Vec<u8>,
    turns: VecDeque<Turn>,
    heads: Vec<String>,
    /// What was uploaded.
    bodies: Vec<Vec<u8>>,
    /// Only who says this is served.
    login: Option<String>,
}

/// The server; it ends with the `LocalSet`.
#[derive(Clone)]
pub struct HttpServer {
    desk: Rc<RefCell<Desk>>,
    pub port: u16,
    scheme: &'static str,
}

impl HttpServer {
    pub async fn plain(file: Vec<u8>) -> Self {
        Self::start(file, None).await
    }

    /// With TLS, by the files of a certificate for `localhost`.
    pub async fn secure(file: Vec<u8>, certificate: &Path, key: &Path) -> Self {
        let chain = CertificateDer::pem_file_iter(certificate).unwrap().map(Result::unwrap).collect();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth();
        let config = config.with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap();
        Self::start(file, Some(Arc::new(config).into())).await
    }

    async fn start(file: Vec<u8>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let desk = Rc::new(RefCell::new(Desk { file, ..Desk::default() }));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = desk.clone();
        tokio::task::spawn_local(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (desk, tls) = (shared.clone(), tls.clone());
                tokio::task::spawn_local(async move {
                    let _ = match tls {
                        None => serve(tcp, desk).await,
                        Some(tls) => match tls.accept(tcp).await {
                            Ok(stream) => serve(stream, desk).await,
                            Err(error) => Err(error),
                        },
                    };
                });
            }
        });
        Self { desk, port, scheme }
    }

    pub fn url(&self, name: &str) -> String {
        format!("{}://localhost:{}/{name}", self.scheme, self.port)
    }

    pub fn plan(&self, turns: &[Turn]) {
        self.desk.borrow_mut().turns.extend(turns.iter().cloned());
    }

    /// Only who says this in `Authorization` is served.
    pub fn require(&self, login: &str) {
        self.desk.borrow_mut().login = Some(login.to_owned());
    }

    pub fn serve(&self, file: Vec<u8>) {
        self.desk.borrow_mut().file = file;
    }

    pub fn heads(&self) -> Vec<String> {
        self.desk.borrow().heads.clone()
    }

    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.desk.borrow().bodies.clone()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, desk: Rc<RefCell<Desk>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        let line = head.lines().find_map(|line| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)));
        line.map(|(_, value)| value.to_owned())
    };
    let (turn, file, login) = {
        let mut desk = desk.borrow_mut();
        desk.heads.push(head.clone());
        (desk.turns.pop_front(), desk.file.clone(), desk.login.clone())
    };
    if let Some(Turn::Status(status)) = turn {
        return stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
    }
    if login.is_some() && header("Authorization") != login {
        return stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await;
    }
    if !head.starts_with("GET ") {
        return take(stream, header("Content-Length").unwrap().parse().unwrap(), desk).await;
    }
    let from = header("Range").map_or(0, |range| range[6..].trim_end_matches('-').parse().unwrap());
    let (status, range) = match from {
        0 => ("200 OK", String::new()),
        from => {
            let last = file.len() - 1;
            ("206 Partial Content", format!("Content-Range: bytes {from}-{last}/{}\r\n", file.len()))
        }
    };
    let body = &file[from..];
    let answer = format!("HTTP/1.1 {status}\r\n{range}ETag: \"one\"\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(answer.as_bytes()).await?;
    match turn {
        Some(Turn::BreakAt(size)) => stream.write_all(&body[..size]).await?,
        Some(Turn::Trickle) => {
            for piece in body.chunks(1024) {
                stream.write_all(piece).await?;
                sleep(Duration::from_millis(50)).await;
            }
        }
        _ => stream.write_all(body).await?,
    }
    stream.shutdown().await
}

async fn take(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    size: usize,
    desk: Rc<RefCell<Desk>>,
) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    let mut body = vec![0; size];
    stream.read_exact(&mut body).await?;
    desk.borrow_mut().bodies.push(body);
    stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").await?;
    stream.shutdown().await
}
