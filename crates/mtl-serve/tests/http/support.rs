//! A small model, and a server of it on a port of the system's choice.

use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;

use mtl_calibrate::{Calibrator, Map, Platt};
use mtl_data::ReadOptions;
use mtl_feature::{
    Chunk, FeatureSpec, LabelKind, RawColumn, Rows, SchemaFitter, SchemaSpec, Values,
};
use mtl_model::{Calibration, Fusion, Model, ModelConfig, ModelSpec, TaskConfig, read_fusion};
use mtl_serve::{Handle, Loaded, ServeConfig, Server};

/// Rows of training: a user, a city, a price that may be missing, an hour.
pub(crate) fn chunk(n: usize) -> Chunk {
    let of = |i: usize, n: usize| (i * 7919 + 13) % n;
    let users = (0..n).map(|i| of(i, 20) as i64).collect();
    let cities: Vec<&str> = (0..n).map(|i| ["Rome", "Oslo", ""][of(i, 3)]).collect();
    let missing = cities.iter().map(|city| city.is_empty()).collect();
    let city = RawColumn::with_missing(RawColumn::text(cities).values().clone(), Some(missing));
    let prices = (0..n).map(|i| of(i, 40) as f64 / 4.0).collect();
    let no_price = (0..n).map(|i| i % 6 == 0).collect();
    let price = RawColumn::with_missing(Values::Float(prices), Some(no_price));
    let label = |k: usize| {
        RawColumn::new(Values::Integer((0..n).map(|i| i64::from(of(i, k) == 0)).collect()))
    };
    let columns = vec![
        ("user".to_owned(), RawColumn::new(Values::Integer(users))),
        ("city".to_owned(), city),
        ("price".to_owned(), price),
        ("click".to_owned(), label(2)),
        ("buy".to_owned(), label(5)),
        ("seconds".to_owned(), label(3)),
    ];
    Chunk::new(n, Rows::From(0), columns).unwrap()
}

/// A model of random weights: scores are to be carried, not to be good.
pub(crate) fn model(seed: u64) -> Model {
    let mut seconds = TaskConfig::binary("seconds");
    seconds.kind = Some(LabelKind::Regression);
    let tasks = vec![TaskConfig::binary("click"), TaskConfig::binary("buy"), seconds];
    let mut config = ModelConfig::new("mmoe");
    config.embedding.bound = 2.0; // wide apart, so that rows differ
    let spec = ModelSpec::new(config, tasks, None).unwrap();
    let mut price = FeatureSpec::numeric("price");
    price.missing_indicator = true;
    let features = vec![FeatureSpec::categorical("user"), FeatureSpec::categorical("city"), price];
    let mut fitter = SchemaFitter::new(SchemaSpec::new(features, spec.labels().unwrap())).unwrap();
    fitter.observe(&chunk(300)).unwrap();
    let mut model = Model::new(spec, fitter.finish().unwrap(), seed).unwrap();
    let mut calibration = Calibration::default();
    let line = Map::Platt(Platt { slope: 0.9, offset: -0.2 });
    calibration.insert("p_buy", Calibrator::new(None, Some(line)).unwrap());
    model.set_calibration(calibration).unwrap();
    model
}

/// How its rows are written: "" and "NA" are missing.
pub(crate) fn options() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.missing.push("NA".to_owned());
    options
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    thread: JoinHandle<mtl_serve::Result<()>>,
}

impl Running {
    pub(crate) fn new(server: Server) -> Self {
        let (address, handle) = (server.address(), server.handle());
        Self { address, handle, thread: std::thread::spawn(move || server.run()) }
    }

    pub(crate) fn stop(self) {
        self.handle.stop();
        self.thread.join().unwrap().unwrap();
    }

    pub(crate) fn join(self) {
        self.thread.join().unwrap().unwrap();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

pub(crate) fn config() -> ServeConfig {
    ServeConfig { port: 0, threads: 2, ..ServeConfig::default() }
}

/// Serves what is in a folder.
pub(crate) fn serve(folder: &Path, config: ServeConfig) -> Running {
    let folder = folder.to_owned();
    let server = Server::bind(config, move || {
        let model = Model::load(&folder)?;
        let fusion: Option<Fusion> = read_fusion(&folder, &model)?;
        Ok(Loaded::new(model, &options(), fusion)?)
    });
    Running::new(server.unwrap())
}
