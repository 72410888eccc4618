//! `mtl serve`: a trained model behind HTTP.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use mtl_model::{Fusion, read_fusion};
use mtl_serve::{LoadError, Loaded, ServeConfig, Server};
use serde_json::json;

use crate::args::ServeArgs;
use crate::{commands, render};

pub(crate) fn run(args: &ServeArgs, json: bool) -> anyhow::Result<()> {
    let config = config(args)?;
    let (folder, fusion) = (args.model.clone(), formula(args)?);
    let precision = args.precision.precision();
    let server =
        Server::bind(config, move || Ok(load(&folder, fusion.clone())?.with_precision(precision)))?;
    // A program that starts the server reads this line to know that it listens, and where.
    let url = format!("http://{}", server.address());
    if json {
        render::json(&json!({ "url": url, "model": args.model }))?;
    } else {
        say!("serving {} at {url}", args.model.display());
    }
    Ok(server.run()?)
}

fn config(args: &ServeArgs) -> anyhow::Result<ServeConfig> {
    let seconds = |key: &str, seconds: f64| {
        let time = Duration::try_from_secs_f64(seconds);
        time.with_context(|| format!("--{key} is {seconds}, expected seconds such as 1.5"))
    };
    let default = ServeConfig::default();
    let threads = args.scoring_threads.unwrap_or(default.threads);
    crate::check_threads("scoring-threads", threads)?;
    let watch = args.watch.map(|every| seconds("watch", every)).transpose()?;
    Ok(ServeConfig {
        host: args.host.clone(),
        port: args.port,
        threads,
        queue: args.queue,
        window: Duration::from_micros(args.batch_window),
        spin: Duration::from_micros(args.spin),
        max_body: args.max_body,
        timeout: seconds("timeout", args.timeout)?,
        connections: args.connections,
        reload_timeout: seconds("reload-timeout", args.reload_timeout)?,
        watch: watch.map(|every| (args.model.clone(), every)),
        ..default
    })
}

/// The formula of `--product` or `--sum`, in place of the folder's.
fn formula(args: &ServeArgs) -> anyhow::Result<Option<Fusion>> {
    let terms = |option: &str, terms: &[String]| {
        let term = |term: &String| {
            let expected = || format!("--{option} has `{term}`, expected such as p_click=0.5");
            let (name, factor) = term.split_once('=').with_context(expected)?;
            Ok((name.to_owned(), factor.parse::<f64>().with_context(expected)?))
        };
        terms.iter().map(term).collect::<anyhow::Result<_>>()
    };
    match (&args.product, &args.sum) {
        (None, None) => Ok(None),
        (Some(product), None) => Ok(Some(Fusion::Product(terms("product", product)?))),
        (None, Some(sum)) => Ok(Some(Fusion::Sum(terms("sum", sum)?))),
        (Some(_), Some(_)) => bail!("--product beside --sum, expected one of them"),
    }
}

/// The model of this moment, with the formula given or that of its folder.
fn load(folder: &Path, fusion: Option<Fusion>) -> Result<Loaded, LoadError> {
    let (model, options) = commands::open(folder)?;
    let fusion = match fusion {
        Some(fusion) => Some(fusion),
        None => read_fusion(folder, &model)?,
    };
    Ok(Loaded::new(model, &options, fusion)?)
}
