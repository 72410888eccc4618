//! Requests that are refused: what is wrong, where, and what was expected.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use serde_json::json;

use mtl_serve::ServeConfig;

use crate::client::Client;
use crate::support::{Running, config, model, serve};

fn running(config: ServeConfig) -> (tempfile::TempDir, Running) {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("m");
    model(1).save(&folder, &[]).unwrap();
    let server = serve(&folder, config);
    (home, server)
}

#[test]
fn a_wrong_field_is_named_with_row_value_and_what_was_expected() {
    let (_home, server) = running(config());
    let mut client = Client::new(server.address);
    let good = json!({"user": 1, "city": "Rome", "price": 1});
    let bad = json!({"user": 1, "city": "Rome", "price": "cheap"});
    let error = client.post("/score", &json!({"rows": [good, bad]}).to_string()).error(400);
    let expected = json!({
        "message": "rows[1], field `price`: found `cheap`, expected a finite number",
        "part": "rows", "row": 1, "field": "price", "value": "`cheap`",
        "expected": "a finite number",
    });
    assert_eq!(error, expected);
    // A score that is no finite number was once `null`, with 200.
    let body = json!({"rows": [good], "fusion": {"product": {"p_click": -5000}}});
    let expected = json!({
        "message": "[fusion] product.p_click: found -5000, expected an exponent from -10 to 10",
        "field": "fusion.product.p_click", "value": "-5000",
        "expected": "an exponent from -10 to 10",
    });
    assert_eq!(client.post("/score", &body.to_string()).error(400), expected);
    for (body, message) in [
        (
            json!({"rows": [good], "fusion": {"sum": {"p_seconds": 1e300}}}),
            "expected a weight from -1e9 to 1e9",
        ),
        (
            json!({"rows": [good, {"user": 1, "price": 1}]}),
            "rows[1] has no field `city`, expected it, or null",
        ),
        (
            json!({"rows": [{"user": [1], "city": "a", "price": 1}]}),
            "rows[0], field `user`: found `1`, expected one value, not a list",
        ),
        (
            json!({"rows": [{"user": [[1]], "city": "a", "price": 1}]}),
            "rows[0], field `user`: found an array of arrays or objects",
        ),
        (
            json!({"rows": [{"user": [1], "city": "a", "price": 1}, good]}),
            "rows[1], field `user`: found no array, expected an array or null",
        ),
        (
            json!({"user": {"user": 1, "price": "x"}, "candidates": [{"city": "a"}, {"city": "b"}]}),
            "user, field `price`: found `x`, expected a finite number",
        ),
        (
            json!({"user": {"user": 1}, "candidates": [{"city": "a", "price": 1}, {"city": "a"}]}),
            "candidates[1] has no field `price`",
        ),
        (
            json!({"user": {"user": 1}, "candidates": [{"user": 2, "city": "a", "price": 1}]}),
            "candidates[0] has field `user` and so has `user`",
        ),
        (json!({"rows": [1]}), "rows[0] to be an object of fields"),
        (json!({"rows": {}}), "expected `rows` to be an array of objects"),
        (json!({"row": [good]}), "did you mean `rows`?"),
        (json!({"rows": [good], "user": {}}), "expected either `rows`, or `user` and `candidates`"),
        (json!({}), "expected either `rows`"),
        (json!([]), "expected an object with `rows`"),
        (
            json!({"rows": [good], "top_k": -1}),
            "integer `-1`, expected `top_k` to be a whole number ≥ 0",
        ),
        (json!({"rows": [good], "top_k": 1.5}), "expected `top_k` to be a whole number ≥ 0"),
        (json!({"rows": [good], "sort": 1}), "expected `sort` to be true or false"),
        (json!({"rows": [good], "top_k": 1}), "need a formula, expected `fusion`"),
        (json!({"rows": [good], "fusion": {"product": {"p_clik": 1}}}), "did you mean `p_click`?"),
        (
            json!({"rows": [good], "fusion": {"mean": {}}}),
            "`fusion` has `mean`, expected `product` or `sum`",
        ),
        (
            json!({"rows": [good], "fusion": {}}),
            "`fusion` has neither, expected one of `product` and `sum`",
        ),
        (
            json!({"rows": [good], "fusion": {"product": {"p_click": 1}, "sum": {"p_click": 1}}}),
            "`fusion` has both, expected one of `product` and `sum`",
        ),
        (
            json!({"rows": [good], "fusion": "product"}),
            "expected `fusion` to be an object with `product` or `sum`",
        ),
        (
            json!({"rows": [good], "fusion": {"sum": {"p_click": "1"}}}),
            "expected `fusion.sum.p_click` to be a number",
        ),
        (
            json!({"rows": [good], "fusion": {"sum": [1]}}),
            "expected `fusion.sum` to be an object of outputs and numbers",
        ),
        (
            json!({"rows": [good, {"user": 1, "city": "Rome", "price": 1e39}]}),
            "rows[1], field `price`: found `1000000000000000000000000000000000000000`, expected a \
             number within ±3.4e38",
        ),
        (json!({"rows": null}), "expected either `rows`"),
        (
            json!({"rows": [good], "fusion": {"product": {"p_seconds": 1}}}),
            "none of the probabilities",
        ),
    ] {
        let error = client.post("/score", &body.to_string()).error(400);
        let found = error["message"].as_str().unwrap();
        assert!(found.contains(message), "{body}\nfound {found}\nexpected {message}");
    }
    for (body, message) in [
        ("", "there is no body, expected an object with `rows`"),
        (" \n", "there is no body"),
        ("[]", "invalid type: sequence, expected an object with `rows`, or with `user` and"),
        ("{", "EOF while parsing an object"),
        ("{\"rows\": []} x", "trailing characters"),
        ("\u{0}", "expected value"),
        ("{\"rows\": [{\"user\": 1, \"user\": 2}]}", "field `user` twice in a row"),
        ("{\"rows\": [], \"rows\": null}", "`rows` twice"),
        ("{\"rows\": [], \"sort\": true, \"sort\": true}", "`sort` twice"),
        ("{\"fusion\": {\"sum\": null, \"sum\": {}}}", "`sum` twice in `fusion`"),
        ("{\"fusion\": {\"sum\": {\"a\": 1, \"a\": 2}}}", "`a` twice in `fusion.sum`"),
    ] {
        let error = client.post("/score", body).error(400);
        let found = error["message"].as_str().unwrap();
        assert!(found.starts_with(&format!("the request: {message}")), "{body}: {found}");
        assert!(!found.contains("column 0"), "{body}: {found}");
    }
    let nothing = json!({
        "rows": [good], "user": null, "candidates": null, "fusion": null, "sort": null, "top_k": null,
    });
    assert_eq!(client.post("/score", &nothing.to_string()).scores().len(), 1);
    // The connection is as good as before.
    assert_eq!(client.post("/score", &json!({"rows": [good]}).to_string()).scores().len(), 1);
    server.stop();
}

#[test]
fn a_path_or_method_that_there_is_none_of() {
    let (_home, server) = running(config());
    let mut client = Client::new(server.address);
    let error = client.get("/scores").error(404);
    assert!(
        error["message"].as_str().unwrap().starts_with("there is no /scores, expected POST /score")
    );
    let error = client.get("/score").error(405);
    assert!(error["message"].as_str().unwrap().contains("/score does not take GET"));
    server.stop();
}

#[test]
fn a_body_too_large_is_refused() {
    let (_home, server) = running(ServeConfig { max_body: 1_000, ..config() });
    let body = json!({"rows": vec![json!({"user": 1, "city": "Rome", "price": 1}); 100]});
    let error = Client::new(server.address).post("/score", &body.to_string()).error(413);
    assert!(error["message"].as_str().unwrap().ends_with("expected at most 1000 bytes"), "{error}");
    // One that says so itself was once waited for, to no end.
    let head = "POST /score HTTP/1.1\r\nhost: test\r\ncontent-length: 999999999999\r\n\r\n";
    Client::new(server.address).send(head, "").unwrap().error(413);
    server.stop();
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let (_home, server) = running(ServeConfig { timeout: Duration::from_millis(200), ..config() });
    let mut client = Client::new(server.address);
    let head = "POST /score HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\n";
    let answer = client.send(head, "{\"rows\"").unwrap();
    answer.error(504);
    server.stop();
}

/// Headers that do not end, or come a byte at a time, and a connection on which nothing comes.
#[test]
fn headers_that_do_not_come_are_not_waited_for() {
    let (_home, server) = running(ServeConfig { timeout: Duration::from_millis(400), ..config() });
    let closed = |client: &mut Client| {
        let error = client.read().err().map(|error| error.kind());
        let ended = [Some(ErrorKind::UnexpectedEof), Some(ErrorKind::ConnectionReset)];
        assert!(ended.contains(&error), "{error:?}");
    };
    let mut half = Client::new(server.address);
    half.write("POST /score HTTP/1.1\r\nhost: te", "").unwrap();
    closed(&mut half);
    let mut slow = Client::new(server.address);
    let mut bytes = "GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n".chars();
    while bytes.next().is_some_and(|byte| slow.write(&byte.to_string(), "").is_ok()) {
        std::thread::sleep(Duration::from_millis(20));
    }
    closed(&mut slow);
    let mut idle = Client::new(server.address);
    assert_eq!(idle.get("/healthz").status, 200);
    closed(&mut idle);
    server.stop();
}

/// One that asks and asks and takes no answer: once all buffers in between are full, it is given up,
/// and its place is free.
#[test]
fn a_client_that_takes_no_answer_is_not_waited_for() {
    let timeout = Duration::from_millis(400);
    let (_home, server) = running(ServeConfig { timeout, connections: 1, ..config() });
    let mut deaf = Client::new(server.address);
    let error = loop {
        if let Err(error) = deaf.write("GET /model HTTP/1.1\r\nhost: test\r\n\r\n", "") {
            break error.kind();
        }
    };
    let ended = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::ConnectionAborted];
    assert!(ended.contains(&error), "{error:?}");
    assert_eq!(Client::new(server.address).get("/healthz").status, 200);
    server.stop();
}

#[test]
fn more_connections_than_may_be_open_wait_for_one_that_ends() {
    let (_home, server) = running(ServeConfig { connections: 1, ..config() });
    let mut first = Client::new(server.address);
    assert_eq!(first.get("/healthz").status, 200);
    let mut second = Client::waiting(server.address, Duration::from_millis(300));
    second.write("GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n", "").unwrap();
    let error = second.read().err().map(|error| error.kind());
    assert!(matches!(error, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{error:?}");
    drop(first);
    let start = Instant::now();
    while second.read().is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "it is never answered");
    }
    server.stop();
}

#[test]
fn more_requests_than_may_wait_are_told_to_come_again() {
    // One thread that waits long for company, and room for two.
    let slow = ServeConfig {
        threads: 1,
        queue: 2,
        batch: 9,
        window: Duration::from_millis(500),
        ..config()
    };
    let (_home, server) = running(slow);
    let body = json!({"rows": [{"user": 1, "city": "Rome", "price": 1}]}).to_string();
    let address = server.address;
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let one = |_| scope.spawn(|| Client::new(address).post("/score", &body).status);
        let threads: Vec<_> = (0..6).map(one).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let count = |status| answers.iter().filter(|&&s| s == status).count();
    assert_eq!((count(200), count(503)), (2, 4), "{answers:?}");
    server.stop();
}

#[test]
fn settings_that_cannot_be() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("m");
    model(1).save(&folder, &[]).unwrap();
    let bind = |config| {
        let folder = folder.clone();
        mtl_serve::Server::bind(config, move || {
            let model = mtl_model::Model::load(&folder)?;
            Ok(mtl_serve::Loaded::new(model, &crate::support::options(), None)?)
        })
    };
    let error = bind(ServeConfig { threads: 0, ..config() }).unwrap_err();
    assert_eq!(error.to_string(), "`threads` is 0, expected at least 1");
    let error = bind(ServeConfig { threads: 100_000, ..config() }).unwrap_err();
    assert!(
        error.to_string().starts_with("`threads` is 100000, expected at most 256, or"),
        "{error}"
    );
    let first = bind(config()).unwrap();
    let error = bind(ServeConfig { port: first.address().port(), ..config() }).unwrap_err();
    assert!(error.to_string().contains("cannot be listened on"), "{error}");
    std::fs::remove_file(folder.join("weights.bin")).unwrap();
    assert!(bind(config()).unwrap_err().to_string().contains("weights.bin"));
}
