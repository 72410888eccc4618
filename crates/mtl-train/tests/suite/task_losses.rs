//! Every loss of a task through the loop, from a configuration: it trains, is measured and predicts,
//! under any architecture, to the same bits for any number of threads.

use mtl_data::Dataset;
use mtl_feature::FeatureTable;
use mtl_model::{Model, ModelSpec, TaskConfig, TaskLoss};
use mtl_train::{RunConfig, Silent, TrainConfig, evaluate, fit};

type Failure = Box<dyn std::error::Error>;

/// Rows whose labels follow from two ids, but for a fifth of them.
fn rows(n: usize) -> String {
    let mut text = "user,item,click,score,size\n".to_owned();
    for i in 0..n {
        let (user, item) = (i * 7 % 40, i * i % 23);
        let noise = (i * 31 % 17) as f64 / 17.0;
        let size = ["small", "large", "medium"][(user + usize::from(noise > 0.8)) % 3];
        let click = usize::from((item % 5 < 2) != (noise > 0.8));
        let score = f64::from(item as u32 % 7) + noise;
        text += &format!("{user},{item},{click},{score},{size}\n");
    }
    text
}

fn config(tasks: &str, rest: &str) -> String {
    format!(
        "[data]\ntrain = 'log.csv'\ngroup = 'user'\n\
         split = {{ by = 'random', validation = 0.2, test = 0 }}\n\
         [[feature]]\nname = 'user'\nkind = 'categorical'\n\
         [[feature]]\nname = 'item'\nkind = 'categorical'\n\
         {tasks}\n[model]\nname = 'mmoe'\nexpert_units = [8, 6]\ngate_units = [4]\n\
         tower_units = [6]\ndropout = 0.0\ndomain = 'item'\n\
         [train]\nepochs = 4\nbatch_size = 600\nlearning_rate = 0.02\n{rest}\n"
    )
}

/// The configuration and its rows.
fn run_of(tasks: &str, rest: &str) -> Result<(RunConfig, Dataset), Failure> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("log.csv"), rows(3_000))?;
    std::fs::write(folder.path().join("run.toml"), config(tasks, rest))?;
    let config = RunConfig::read(&folder.path().join("run.toml"))?;
    let data = mtl_data::load(&config.data, config.features.clone(), config.labels()?)?;
    Ok((config, data))
}

fn trained(
    spec: ModelSpec,
    data: &Dataset,
    config: &TrainConfig,
) -> Result<(Model, Vec<f64>), Failure> {
    let mut model = Model::new(spec, data.schema.clone(), config.seed)?;
    let tables = (&data.train, &data.validation);
    let fitted = fit(&mut model, tables, config, None, &mut Silent)?;
    let loss = |epoch: &mtl_train::EpochRecord| {
        epoch.losses.iter().filter_map(|(_, loss)| *loss).sum::<f64>()
    };
    let losses = fitted.history.epochs.iter().map(loss).collect();
    Ok((model, losses))
}

const CLICK: &str = "[[task]]\nname = 'click'\n";

const LOSSES: [&str; 7] = [
    "[[task]]\nname = 'click'\nloss = 'weighted_bce'\npositive_weight = 3.0\n",
    "[[task]]\nname = 'click'\nloss = 'focal'\ngamma = 1.5\nalpha = 0.4\n",
    "[[task]]\nname = 'click'\nloss = 'bpr'\n",
    "[[task]]\nname = 'score'\nloss = 'log_cosh'\n",
    "[[task]]\nname = 'score'\nkind = 'regression'\nloss = 'huber'\ndelta = 0.5\n",
    "[[task]]\nname = 'size'\nloss = 'softmax'\n",
    "[[task]]\nname = 'size'\nkind = 'multiclass'\nclasses = ['large', 'medium', 'small']\n",
];

#[test]
fn every_loss_trains_under_every_architecture_and_is_measured() -> Result<(), Failure> {
    for tasks in LOSSES {
        let (config, data) = run_of(tasks, "")?;
        for name in mtl_arch::NAMES {
            let spec = config.model_spec(name)?;
            let (model, losses) = trained(spec, &data, &config.train)
                .map_err(|error| format!("{name}, {tasks}: {error}"))?;
            assert!(losses[3] < losses[0], "{name}, {tasks}: {losses:?}");
            let found = evaluate(&model, &data.validation)?;
            let task = &found.tasks[0];
            let is_pairwise = config.tasks[0].task_loss() == TaskLoss::Bpr;
            assert_eq!(found.loss.is_none(), is_pairwise, "{tasks}");
            let good = match (task.metrics.binary(), task.metrics.multiclass()) {
                (Some(report), _) => report.auc.value() > Some(0.6),
                (_, Some(report)) => report.auc_macro.value() > Some(0.7),
                _ => task.metrics.regression().and_then(|r| r.mae.value()) < Some(1.6),
            };
            assert!(good, "{name}, {tasks}: {:?}", task.metrics);
        }
    }
    Ok(())
}

#[test]
fn threads_change_no_bit_of_a_loss_of_pairs() -> Result<(), Failure> {
    let tasks = format!("{}{}", LOSSES[2], LOSSES[5]);
    for weighting in ["equal", "gradnorm"] {
        let (config, data) = run_of(&tasks, &format!("[loss]\nweighting = '{weighting}'"))?;
        let run = |threads: usize| -> Result<Model, String> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let spec = config.named_model().map_err(|error| error.to_string())?;
            pool.map_err(|error| error.to_string())?.install(|| {
                let trained = trained(spec, &data, &config.train);
                Ok(trained.map_err(|error| error.to_string())?.0)
            })
        };
        let one = run(1)?;
        for threads in [2, 3] {
            let other = run(threads)?;
            for path in one.graph().layout().paths() {
                assert_eq!(one.params.get(path)?, other.params.get(path)?, "{weighting} {path}");
            }
        }
    }
    Ok(())
}

#[test]
fn classes_are_predicted_by_name_and_sum_to_one() -> Result<(), Failure> {
    let (config, data) = run_of(&format!("{CLICK}{}", LOSSES[5]), "")?;
    let (model, _) = trained(config.named_model()?, &data, &config.train)?;
    let predictions = model.predict(&data.validation)?;
    let expected = ["p_click", "p_size_large", "p_size_medium", "p_size_small"];
    assert_eq!(predictions.names(), expected);
    for row in predictions.values().rows() {
        let sum: f32 = row.iter().skip(1).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{row}");
    }
    // The file numbers its classes as they are sorted, a list as it stands: the same model.
    let listed = format!("{CLICK}{}", LOSSES[6]);
    let (config, data) = run_of(&listed, "")?;
    let (other, _) = trained(config.named_model()?, &data, &config.train)?;
    let again = other.predict(&data.validation)?;
    assert_eq!(again.values(), predictions.values());
    Ok(())
}

/// A pair of rows of one group in different shards, and rows without one.
#[test]
fn a_batch_without_a_pair_has_no_loss() -> Result<(), Failure> {
    let (config, data) = run_of(LOSSES[2], "")?;
    let n = data.train.n_rows();
    let alone = data.train.clone().with_groups((0..n as u64).collect())?;
    let mut model = Model::new(config.named_model()?, data.schema.clone(), 1)?;
    let before = model.params.clone();
    let nothing = alone.select(&[]);
    let fitted = fit(&mut model, (&alone, &nothing), &config.train, None, &mut Silent)?;
    assert_eq!(fitted.history.epochs[0].losses, [("click".to_owned(), None)]);
    for path in model.graph().layout().paths() {
        assert_eq!(before.get(path)?, model.params.get(path)?, "{path}");
    }
    let mut ungrouped = FeatureTable::new(n);
    for (name, ids) in data.train.ids() {
        ungrouped = ungrouped.with_ids(name, ids.clone())?;
    }
    let labels = data.train.label_of("click").unwrap_or_default().to_vec();
    let ungrouped = ungrouped.with_label("click", labels)?;
    let error = fit(&mut model, (&ungrouped, &nothing), &config.train, None, &mut Silent);
    let message = error.err().map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(message, "task `click`: `loss = \"bpr\"` needs groups, expected `group` in [data]");
    Ok(())
}

#[test]
fn a_setting_that_the_loss_does_not_read_is_an_error() {
    let error = |tasks: &str, rest: &str| match RunConfig::parse(&config(tasks, rest)) {
        Ok(_) => "no error".to_owned(),
        Err(error) => error.to_string(),
    };
    for (task, expected) in [
        ("loss = 'focal'\ndelta = 1.0", "`delta` is no setting of `loss = \"focal\"`"),
        ("loss = 'focal'\ngamma = -1.0", "`gamma` is -1, expected a number ≥ 0"),
        ("loss = 'weighted_bce'", "needs `positive_weight`, expected a number > 0"),
        ("kind = 'binary'\nloss = 'softmax'", "`softmax\" is a loss of"),
        ("loss = 'softmax'\nclasses = 1", "`classes` is below 2"),
        ("loss = 'focla'", "did you mean `focal`?"),
    ] {
        let message = error(&format!("[[task]]\nname = 'click'\n{task}\n"), "");
        let expected = expected.replace("`softmax\"", "`\"softmax\"`");
        assert!(message.contains(&expected), "{task}: {message}");
    }
    let message = error(LOSSES[2], "monitor = 'loss'");
    assert!(message.contains("expected another, such as `gauc_click`"), "{message}");
    let message = error(CLICK, "[loss]\nweighting = 'gradnrom'");
    assert!(message.ends_with("did you mean `gradnorm`?"), "{message}");
    let beta = |shared: &str| {
        format!("[loss]\nweighting = {{ method = 'db_mtl', beta = 0.9 }}\nshared = '{shared}'")
    };
    assert_eq!(error(CLICK, &beta("dense")), "no error");
    assert!(error(CLICK, &beta("all")).contains("expected `shared` to be `last_layer` or `dense`"));
    let message = error(CLICK, "[loss]\nweighting = { method = 'db_mtl', beta = 1.5 }");
    assert!(
        message.contains("db_mtl: beta is 1.5, expected a number from 0, below 1"),
        "{message}"
    );
}

#[test]
fn a_task_of_several_classes_stands_beside_a_chain() -> Result<(), Failure> {
    let task: TaskConfig = toml::from_str("name = 'size'\nloss = 'softmax'")?;
    let chain = "[chain]\npreset = 'esmm'\n[chain.labels]\nclick = 'click'\nconversion = 'buy'\n";
    let chained = config(&format!("[[task]]\nname = '{}'\nloss = 'softmax'\n", task.name), chain);
    let parsed = RunConfig::parse(&chained)?;
    assert!(parsed.named_model()?.measures()?.len() > 1);
    Ok(())
}
