//! What does a request for the candidates of one user cost, over a socket?
//!
//! Serves workload W1's MMoE (30 features of dimension 16, half of them the user's, three tasks) in
//! this process, or takes a server that runs (`--address`), and asks at a fixed rate; an answer's time
//! counts from when its request was due, so that a slow one is not hidden by those it held up. One
//! line of JSON: milliseconds, what was not answered, and the processors that the server kept busy.
//!
//! `cargo run --release -p mtl-benches --bin serving -- --rate 50 --seconds 20 --candidates 200`

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mtl_benches::{cpu_ms, w1};
use mtl_data::ReadOptions;
use mtl_feature::{Chunk, FeatureSpec, RawColumn, Rows, SchemaFitter, SchemaSpec};
use mtl_model::{Model, ModelConfig, ModelSpec, TaskConfig};
use mtl_serve::{LoadError, Loaded, ServeConfig, Server};
use serde_json::{Map, Value, json};

/// How much is asked.
#[derive(Clone, Copy)]
struct Load {
    rate: f64,
    seconds: f64,
    candidates: usize,
    /// Connections that ask in turn.
    connections: usize,
}

/// A field of a request and how many values it has.
type Field = (String, usize);

/// What was answered: milliseconds, and how many requests were not.
#[derive(Default)]
struct Answers {
    times: Vec<f64>,
    errors: usize,
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
    let mut load = Load { rate: 50.0, seconds: 20.0, candidates: 200, connections: 4 };
    let mut config = ServeConfig { port: 0, ..ServeConfig::default() };
    let mut address: Option<SocketAddr> = None;
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--rate" => load.rate = value.parse()?,
            "--seconds" => load.seconds = value.parse()?,
            "--candidates" => load.candidates = value.parse()?,
            "--connections" => load.connections = value.parse::<usize>()?.max(1),
            "--spin" => config.spin = Duration::from_micros(value.parse()?),
            "--threads" => config.threads = value.parse()?,
            "--address" => address = Some(value.parse()?),
            _ => {
                let expected = "--rate, --seconds, --candidates, --connections, --spin, --threads \
                                or --address";
                return Err(format!("{argument}: expected {expected}").into());
            }
        }
    }
    let found = match address {
        Some(address) => measured(address, &fields_of(address)?, load)?.0,
        None => of_own_server(config, load)?,
    };
    println!("{found}");
    Ok(())
}

/// Serves W1's MMoE and asks it.
fn of_own_server(config: ServeConfig, load: Load) -> Result<Value, Box<dyn Error>> {
    let spin = config.spin.as_micros() as u64;
    let server =
        Server::bind(config, || Ok(Loaded::new(model()?, &ReadOptions::default(), None)?))?;
    let (address, handle) = (server.address(), server.handle());
    let running = std::thread::spawn(|| server.run());
    let columns = w1::cardinalities(w1::LARGE).into_iter().enumerate();
    let fields: Vec<Field> = columns.map(|(i, n)| (format!("f{i}"), n)).collect();
    let measured = measured(address, &fields, load);
    handle.stop();
    running.join().map_err(|_| "the server panicked")??;
    let (mut found, busy) = measured?;
    found["spin_us"] = json!(spin);
    found["processors"] = json!(busy);
    Ok(found)
}

/// Asks a server, after a second in which it warms; also how many processors this process's threads
/// kept busy but for those that asked.
fn measured(
    address: SocketAddr,
    fields: &[Field],
    load: Load,
) -> Result<(Value, Option<f64>), Box<dyn Error>> {
    ask(address, fields, Load { seconds: 1.0, ..load })?;
    // The threads that ask have ended when it is read again, and their time with them.
    let (before, start) = (cpu_ms(), Instant::now());
    let Answers { mut times, errors } = ask(address, fields, load)?;
    let wall = 1e3 * start.elapsed().as_secs_f64();
    let busy = before.zip(cpu_ms()).map(|(before, after)| (after - before) / wall);
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get(((times.len() as f64 - 1.0) * share).round() as usize);
    let found = json!({
        "requests": times.len(), "errors": errors, "rate": load.rate, "candidates": load.candidates,
        "ms": { "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0) },
    });
    Ok((found, busy))
}

/// The fields that a server wants, with values of our own choice.
fn fields_of(address: SocketAddr) -> Result<Vec<Field>, Box<dyn Error>> {
    let mut stream = BufReader::new(TcpStream::connect(address)?);
    let model = exchange(&mut stream, "GET /model HTTP/1.1\r\nhost: bench\r\n\r\n")?;
    let model: Value = serde_json::from_slice(&model)?;
    let names = model["fields"].as_array().ok_or("/model names no fields")?;
    Ok(names.iter().filter_map(|name| Some((name.as_str()?.to_owned(), 1_000))).collect())
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

/// The body of the `i`-th request: every other field is the user's.
fn body(fields: &[Field], i: usize, candidates: usize) -> String {
    let some = |of_user: usize, row: usize| -> Map<String, Value> {
        let fields = fields.iter().enumerate().filter(|(c, _)| c % 2 == of_user);
        let value =
            |c: usize, n: usize| json!((mtl_benches::uniform(c as u64, row) * n as f64) as u64);
        fields.map(|(c, (name, n))| (name.clone(), value(c, *n))).collect()
    };
    let rows = (0..candidates).map(|row| some(1, i * candidates + row));
    json!({ "user": some(0, i), "candidates": rows.collect::<Vec<_>>() }).to_string()
}

/// Asks at a rate for a time.
fn ask(address: SocketAddr, fields: &[Field], load: Load) -> Result<Answers, Box<dyn Error>> {
    let bodies: Vec<String> = (0..16).map(|i| body(fields, i, load.candidates)).collect();
    let start = Instant::now() + Duration::from_millis(20);
    let answers = std::thread::scope(|scope| {
        let client = |first| {
            let bodies = &bodies;
            scope.spawn(move || client(address, bodies, load, start, first))
        };
        let clients: Vec<_> = (0..load.connections).map(client).collect();
        clients.into_iter().map(|client| client.join()).collect::<Vec<_>>()
    });
    let mut all = Answers::default();
    for one in answers {
        let one = one.map_err(|_| "a client panicked")??;
        all.times.extend(one.times);
        all.errors += one.errors;
    }
    Ok(all)
}

/// Asks on one connection, which is opened again after an error.
fn client(
    address: SocketAddr,
    bodies: &[String],
    load: Load,
    start: Instant,
    first: usize,
) -> std::io::Result<Answers> {
    let connect = || -> std::io::Result<_> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    };
    let n = (load.rate * load.seconds) as usize;
    let (mut stream, mut answers) = (connect()?, Answers::default());
    for i in (first..n).step_by(load.connections) {
        let due = start + Duration::from_secs_f64(i as f64 / load.rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let body = &bodies[i % bodies.len()];
        let head = "POST /score HTTP/1.1\r\nhost: bench\r\ncontent-length:";
        match exchange(&mut stream, &format!("{head} {}\r\n\r\n{body}", body.len())) {
            Ok(_) => answers.times.push(1e3 * due.elapsed().as_secs_f64()),
            Err(error) => {
                eprintln!("serving: request {i}: {error}");
                answers.errors += 1;
                stream = connect()?;
            }
        }
    }
    Ok(answers)
}

/// Sends a request and reads what is answered with 200.
fn exchange(stream: &mut BufReader<TcpStream>, request: &str) -> std::io::Result<Vec<u8>> {
    stream.get_mut().write_all(request.as_bytes())?;
    let (mut line, mut length) = (String::new(), 0);
    stream.read_line(&mut line)?;
    let is_ok = line.starts_with("HTTP/1.1 200");
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    match is_ok {
        true => Ok(answer),
        false => Err(std::io::Error::other(String::from_utf8_lossy(&answer).into_owned())),
    }
}
