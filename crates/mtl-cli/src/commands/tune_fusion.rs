//! `mtl tune-fusion`: the formula that ranks best, for `mtl serve`.

use anyhow::Context;
use mtl_model::{FUSION_FILE, write_fusion};
use mtl_train::{FusionForm, RankMetric, Ranking, TuneConfig, Tuned, tune_fusion};

use crate::args::{FormulaForm, RankBy, TuneFusionArgs};
use crate::commands::nesting::located_in;
use crate::commands::notes;
use crate::{commands, render};

pub(crate) fn run(args: &TuneFusionArgs, json: bool) -> anyhow::Result<()> {
    let (model, options) = commands::open(&args.model)?;
    let rows = commands::labelled(&model, &options, &args.data)?;
    notes::of_file(&args.data, model.schema(), &rows)?;
    let tuned = tune_fusion(&model, &rows, &config(args)?)
        .map_err(|error| located_in(error.into(), &args.data, &options))?;
    write_fusion(&args.model, &tuned.best.fusion)?;
    if json {
        return render::json(&tuned);
    }
    print(&tuned, model.schema().group().is_some());
    say!("wrote {} to {}", tuned.best.fusion, args.model.join(FUSION_FILE).display());
    Ok(())
}

fn config(args: &TuneFusionArgs) -> anyhow::Result<TuneConfig> {
    let weight = |weight: &String| {
        let expected = || format!("--weights has `{weight}`, expected such as click=1");
        let (name, weight) = weight.split_once('=').with_context(expected)?;
        Ok((name.to_owned(), weight.parse::<f64>().with_context(expected)?))
    };
    let weights = args.weights.iter().flatten().map(weight).collect::<anyhow::Result<_>>()?;
    let metric = match args.metric {
        RankBy::Gauc => RankMetric::Gauc,
        RankBy::Ndcg => RankMetric::Ndcg(args.k),
    };
    let form = match args.form {
        FormulaForm::Product => FusionForm::Product,
        FormulaForm::Sum => FusionForm::Sum,
    };
    Ok(TuneConfig { form, weights, metric, steps: args.steps, seed: args.seed })
}

fn print(tuned: &Tuned, grouped: bool) {
    let metric = match (tuned.metric, grouped) {
        (_, false) => "auc".to_owned(),
        (RankMetric::Gauc, true) => "gauc".to_owned(),
        (RankMetric::Ndcg(k), true) => format!("ndcg@{k}"),
    };
    let names = tuned.best.metrics.keys().map(|name| format!("{metric}_{name}"));
    let header: Vec<String> =
        ["formula".to_owned(), "objective".to_owned()].into_iter().chain(names).collect();
    let row = |ranking: &Ranking| {
        let metrics = ranking.metrics.values().map(|&value| render::number(Some(value), 4));
        let objective = render::number(Some(ranking.objective), 4);
        [ranking.fusion.to_string(), objective].into_iter().chain(metrics).collect()
    };
    let rows: Vec<Vec<String>> = tuned.others.iter().chain([&tuned.best]).map(row).collect();
    render::table(&header, &rows);
}
