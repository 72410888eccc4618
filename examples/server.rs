//! `mtl-serve` alone: a model in memory behind HTTP, asked once for a user's candidates and stopped.
//!
//! `cargo run --release -p mtl-examples --example server`

use std::io::{Read, Write};
use std::net::TcpStream;

use mtl_data::ReadOptions;
use mtl_examples::{Anything, Log};
use mtl_serve::{Loaded, ServeConfig, Server};

fn main() -> Result<(), Anything> {
    let config = ServeConfig { port: 0, ..ServeConfig::default() }; // the system chooses one
    let server = Server::bind(config, || {
        // A program would load a folder: Model::load("shop-model").
        let log = Log::draw().map_err(|error| error.to_string())?;
        let model = log.train("mmoe", "expert_units = [16]").map_err(|error| error.to_string())?;
        Ok(Loaded::new(model, &ReadOptions::default(), None)?)
    })?;
    let (address, handle) = (server.address(), server.handle());
    let running = std::thread::spawn(|| server.run());

    let body = r#"{"user": {"user": 17, "hour": 20, "part_of_day": 2},
        "candidates": [{"video": 3}, {"video": 8}, {"video": "never seen"}],
        "fusion": {"product": {"p_click": 1, "p_like": 0.5}}, "sort": true}"#;
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "POST /score HTTP/1.1\r\nhost: here\r\nconnection: close\r\n")?;
    write!(stream, "content-length: {}\r\n\r\n{body}", body.len())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    println!("{}", answer.lines().last().unwrap_or_default());

    handle.stop();
    running.join().map_err(|_| "the server panicked")??;
    Ok(())
}
