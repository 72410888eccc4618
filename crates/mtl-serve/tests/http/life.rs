//! A server's life: health, metrics, another model under load, the end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mtl_serve::{Loaded, ServeConfig, Server};
use serde_json::json;

use crate::client::Client;
use crate::support::{Running, config, model, options, serve};

fn body() -> String {
    json!({"rows": [{"user": 1, "city": "Rome", "price": 1}]}).to_string()
}

#[test]
fn health_and_metrics() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("m");
    model(1).save(&folder, &[]).unwrap();
    let server = serve(&folder, config());
    let mut client = Client::new(server.address);
    assert_eq!(client.get("/healthz").body, "ok\n");
    let description = client.get("/model").json();
    assert_eq!(description["fields"], json!(["city", "price", "user"]));
    assert_eq!(description["outputs"], json!(["p_click", "p_buy", "p_seconds"]));
    for _ in 0..3 {
        client.post("/score", &body());
    }
    client.post("/score", "{").error(400);
    // The last answer may be sent before it is counted by the thread that scored it.
    let start = Instant::now();
    let text = loop {
        let text = client.get("/metrics").body;
        if text.contains("mtl_batch_requests_count 4") || start.elapsed().as_secs() > 5 {
            break text;
        }
    };
    for line in [
        "mtl_requests_total{code=\"200\"} 3",
        "mtl_requests_total{code=\"400\"} 1",
        "mtl_rows_total 3",
        "mtl_request_seconds_count 4",
        "mtl_reloads_total{result=\"ok\"} 1",
        "mtl_waiting 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    server.stop();
}

/// Clients ask without a pause while models come and go: every answer is one of a whole model.
#[test]
fn a_reload_under_load_loses_no_request() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("m");
    let value = |seed| -> f64 {
        model(seed).save(&folder, &[]).unwrap();
        let server = serve(&folder, config());
        let score =
            Client::new(server.address).post("/score", &body()).scores()[0]["p_click"].clone();
        server.stop();
        score.as_f64().unwrap()
    };
    let known = [value(2), value(1)];
    assert_ne!(known[0], known[1]);
    let server = serve(&folder, config());
    let (address, done) = (server.address, AtomicBool::new(false));
    let seen = [AtomicUsize::new(0), AtomicUsize::new(0)];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = Client::new(address);
                while !done.load(Ordering::Relaxed) {
                    let p = client.post("/score", &body()).scores()[0]["p_click"].as_f64().unwrap();
                    let which =
                        known.iter().position(|&k| (k - p).abs() < 1e-6).expect("of a model");
                    seen[which].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut admin = Client::new(address);
        for round in 0..10 {
            model(2 - round % 2).save(&folder, &[]).unwrap();
            let answer = admin.post("/reload", "");
            assert_eq!(answer.json(), json!({"reloaded": true}));
        }
        // A model that cannot be read leaves the last one in place.
        std::fs::write(folder.join("weights.bin"), "damaged").unwrap();
        let error = admin.post("/reload", "").error(500);
        assert!(
            error["message"].as_str().unwrap().starts_with("the old model is kept: "),
            "{error}"
        );
        let p = admin.post("/score", &body()).scores()[0]["p_click"].as_f64().unwrap();
        assert!((p - known[1]).abs() < 1e-6, "the last that was whole");
        done.store(true, Ordering::Relaxed);
    });
    let seen = seen.map(AtomicUsize::into_inner);
    assert!(seen[0] > 0 && seen[1] > 0, "both models answered: {seen:?}");
    server.stop();
}

/// A load that takes long is not waited for, and its model is taken up once it is there.
#[test]
fn a_reload_has_a_time_limit() {
    let (first, second) = (model(1), model(2));
    let (go, gate) = std::sync::mpsc::channel::<()>();
    // The first load finds a model at once, the second when it is told to.
    let models = Mutex::new((vec![second, first], gate));
    let reload_timeout = Duration::from_millis(100);
    let server = Server::bind(ServeConfig { reload_timeout, ..config() }, move || {
        let mut models = models.lock().unwrap();
        let model = models.0.pop().ok_or("no model is left")?;
        if models.0.is_empty() {
            models.1.recv()?;
        }
        Ok(Loaded::new(model, &options(), None)?)
    });
    let server = Running::new(server.unwrap());
    let mut client = Client::new(server.address);
    let ask = |client: &mut Client| client.post("/score", &body()).scores()[0]["p_click"].clone();
    let before = ask(&mut client);
    for _ in 0..2 {
        let error = client.post("/reload", "").error(504);
        assert_eq!(error["message"], "not loaded within 0.1 s; loading goes on");
    }
    assert_eq!(ask(&mut client), before);
    go.send(()).unwrap();
    let start = Instant::now();
    while ask(&mut client) == before {
        assert!(start.elapsed() < Duration::from_secs(10), "it is never taken up");
        std::thread::sleep(Duration::from_millis(10));
    }
    server.stop();
}

#[test]
fn a_watched_folder_is_loaded_when_it_changes() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("m");
    model(1).save(&folder, &[]).unwrap();
    let watch = Some((folder.clone(), Duration::from_millis(20)));
    let server = serve(&folder, ServeConfig { watch, ..config() });
    let mut client = Client::new(server.address);
    let mut ask = || client.post("/score", &body()).scores()[0]["p_click"].as_f64().unwrap();
    let before = ask();
    model(2).save(&folder, &[]).unwrap();
    let start = Instant::now();
    while ask() == before {
        assert!(start.elapsed() < Duration::from_secs(10), "nothing was loaded");
        std::thread::sleep(Duration::from_millis(10));
    }
    server.stop();
}

#[test]
fn a_stop_answers_what_was_asked_and_takes_nothing_new() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("m");
    model(1).save(&folder, &[]).unwrap();
    // A thread that waits for company: the request is under way when the server is stopped.
    let window = Duration::from_millis(600);
    let server = serve(&folder, ServeConfig { threads: 1, window, ..config() });
    let mut client = Client::new(server.address);
    let mut idle = Client::new(server.address);
    assert_eq!(idle.get("/healthz").status, 200);
    let body = body();
    let head =
        format!("POST /score HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n", body.len());
    client.write(&head, &body).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    server.handle.stop();
    assert_eq!(client.read().unwrap().scores().len(), 1, "what was asked is answered");
    let address = server.address;
    server.join();
    assert!(idle.try_post("/score", &body).is_err(), "an idle connection is closed");
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens");
}

#[test]
fn a_client_that_never_ends_does_not_keep_the_server() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("m");
    model(1).save(&folder, &[]).unwrap();
    let grace = Duration::from_millis(200);
    let server = serve(&folder, ServeConfig { grace, ..config() });
    let mut client = Client::new(server.address);
    client.write("POST /score HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\n", "{").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(!server.has_ended());
    let start = Instant::now();
    server.stop();
    assert!(start.elapsed() < Duration::from_secs(4), "it waited for the client");
}
