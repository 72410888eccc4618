//! Sockets: taken up to a limit, each served until its peer, its time or the server's end closes it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::config::ServeConfig;
use crate::limited::Limited;

/// Serves until `stop`; then takes no connection any more and waits for those that there are.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    config: &ServeConfig,
    stop: watch::Receiver<bool>,
) {
    let mut http = Builder::new();
    // From where a request could begin to the end of its headers, so a connection that is idle is
    // closed too. What comes after the headers is limited where it is answered, and an answer's way
    // out by the socket.
    // A day bounds what is added to a clock.
    let timeout = config.timeout.min(Duration::from_secs(86_400));
    http.timer(TokioTimer::new()).header_read_timeout(timeout);
    let limit = config.connections;
    let places = Arc::new(Semaphore::new(limit as usize));
    loop {
        // Whoever finds no place waits in the system's queue, and costs nothing here.
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, accept(&listener).await)
        };
        let (place, stream) = tokio::select! {
            next = next => next,
            () = stopped(stop.clone()) => break,
        };
        // An answer is one write; waiting for more to send only delays it.
        drop(stream.set_nodelay(true));
        let stream = Limited::new(stream, timeout);
        let (http, router, stop) = (http.clone(), router.clone(), stop.clone());
        tokio::spawn(async move {
            let _place = place;
            connection(&http, stream, router, stop).await;
        });
    }
    drop(listener);
    // Every place is free once every connection has ended.
    drop(places.acquire_many(limit).await);
}

/// Ends once the server is asked to.
pub(crate) async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone: nobody can ask any more.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The next connection that stands.
async fn accept(listener: &TcpListener) -> TcpStream {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // The peer went away before it was taken.
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionAborted | ConnectionRefused | ConnectionReset
                ) => {}
            // No descriptor is left, mostly; some connection will end.
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

async fn connection(
    http: &Builder,
    stream: Limited<TcpStream>,
    router: Router,
    stop: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router);
    let mut served = pin!(http.serve_connection(TokioIo::new(stream), service));
    // What a connection ends with is its peer's concern: it went away, or was too slow.
    tokio::select! {
        _ = served.as_mut() => return,
        () = stopped(stop) => served.as_mut().graceful_shutdown(),
    }
    drop(served.await);
}
