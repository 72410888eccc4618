//! What does a request for the candidates of one user cost, over a socket?
//!
//! Serves workload W1's MMoE (30 features of dimension 16, half of them the user's, three tasks) in
//! this process and asks at a fixed rate; an answer's time counts from when its request was due, so
//! that a slow one is not hidden by those it held up. One line of JSON, milliseconds.
//!
//! `cargo run --release -p mtl-benches --bin serving -- --rate 50 --seconds 20 --candidates 200`

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mtl_benches::w1;
use mtl_data::ReadOptions;
use mtl_feature::{Chunk, FeatureSpec, RawColumn, Rows, SchemaFitter, SchemaSpec};
use mtl_model::{Model, ModelConfig, ModelSpec, TaskConfig};
use mtl_serve::{LoadError, Loaded, ServeConfig, Server};
use serde_json::{Map, Value, json};

/// Connections that ask in turn.
const CLIENTS: usize = 4;

/// How much is asked.
#[derive(Clone, Copy)]
struct Load {
    rate: f64,
    seconds: f64,
    candidates: usize,
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serving: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let mut load = Load { rate: 50.0, seconds: 20.0, candidates: 200 };
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--rate" => load.rate = value.parse()?,
            "--seconds" => load.seconds = value.parse()?,
            "--candidates" => load.candidates = value.parse()?,
            _ => return Err(format!("{argument}: expected --rate, --seconds, --candidates").into()),
        }
    }
    let config = ServeConfig { port: 0, ..ServeConfig::default() };
    let server =
        Server::bind(config, || Ok(Loaded::new(model()?, &ReadOptions::default(), None)?))?;
    let (address, handle) = (server.address(), server.handle());
    let running = std::thread::spawn(|| server.run());
    ask(address, Load { seconds: 1.0, ..load })?; // it warms
    let mut times = ask(address, load)?;
    handle.stop();
    running.join().map_err(|_| "the server panicked")??;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get(((times.len() as f64 - 1.0) * share).round() as usize);
    let found = json!({
        "requests": times.len(), "rate": load.rate, "candidates": load.candidates,
        "ms": { "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0) },
    });
    println!("{found}");
    Ok(())
}

fn model() -> Result<Model, LoadError> {
    let columns = w1::cardinalities(w1::LARGE);
    let features = columns.iter().enumerate().map(|(i, &n)| {
        let mut feature = FeatureSpec::categorical(format!("f{i}"));
        feature.hash_buckets = u32::try_from(n).ok();
        feature
    });
    let tasks = ["click", "like", "buy"].map(TaskConfig::binary).to_vec();
    let mut config = ModelConfig::new("mmoe");
    config.embedding.dim = w1::DIM;
    let spec = ModelSpec::new(config, tasks, None)?;
    let mut fitter = SchemaFitter::new(SchemaSpec::new(features.collect(), spec.labels()?))?;
    let names = (0..columns.len()).map(|i| format!("f{i}"));
    let names = names.chain(["click", "like", "buy"].map(str::to_owned));
    let rows = names.map(|name| (name, RawColumn::text(["0", "1"]))).collect();
    fitter.observe(&Chunk::new(2, Rows::From(0), rows)?)?;
    Ok(Model::new(spec, fitter.finish()?, 1)?)
}

/// The body of the `i`-th request.
fn body(i: usize, candidates: usize) -> String {
    let fields = |of_user: usize, row: usize| -> Map<String, Value> {
        let columns = w1::cardinalities(w1::LARGE).into_iter().enumerate();
        let columns = columns.filter(|(c, _)| c % 2 == of_user);
        let value =
            |c: usize, n: usize| json!((mtl_benches::uniform(c as u64, row) * n as f64) as u64);
        columns.map(|(c, n)| (format!("f{c}"), value(c, n))).collect()
    };
    let rows = (0..candidates).map(|row| fields(1, i * candidates + row));
    json!({ "user": fields(0, i), "candidates": rows.collect::<Vec<_>>() }).to_string()
}

/// Asks at a rate for a time; how long each answer took, in milliseconds.
fn ask(address: SocketAddr, load: Load) -> Result<Vec<f64>, Box<dyn Error>> {
    let every = Duration::from_secs_f64(CLIENTS as f64 / load.rate);
    let n = (load.rate * load.seconds / CLIENTS as f64).ceil() as usize;
    let client = move |first: usize| -> std::io::Result<Vec<f64>> {
        let bodies: Vec<String> = (0..16).map(|i| body(i, load.candidates)).collect();
        let mut stream = BufReader::new(TcpStream::connect(address)?);
        stream.get_ref().set_nodelay(true)?;
        let start = Instant::now() + every.mul_f64(1.0 + first as f64 / CLIENTS as f64);
        let mut times = Vec::with_capacity(n);
        for i in 0..n {
            let due = start + every * i as u32;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            post(&mut stream, &bodies[i % bodies.len()])?;
            times.push(1e3 * due.elapsed().as_secs_f64());
        }
        Ok(times)
    };
    let clients: Vec<_> =
        (0..CLIENTS).map(|first| std::thread::spawn(move || client(first))).collect();
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.join().map_err(|_| "a client panicked")??);
    }
    Ok(times)
}

fn post(stream: &mut BufReader<TcpStream>, body: &str) -> std::io::Result<()> {
    let n = body.len();
    let head = format!("POST /score HTTP/1.1\r\nhost: bench\r\ncontent-length: {n}\r\n\r\n");
    stream.get_mut().write_all((head + body).as_bytes())?;
    let (mut line, mut length) = (String::new(), 0);
    stream.read_line(&mut line)?;
    let is_ok = line.starts_with("HTTP/1.1 200");
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    match is_ok {
        true => Ok(()),
        false => Err(std::io::Error::other(String::from_utf8_lossy(&answer).into_owned())),
    }
}
