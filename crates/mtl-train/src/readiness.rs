//! What `train` would refuse before its first step, and what it would train all the same without
//! being of use: found without training.

use mtl_data::Dataset;
use mtl_esm::{Nesting, Violation};
use mtl_model::{Measure, ModelSpec, assemble, check_memory, labels_of};

use crate::audit::ChainAudit;
use crate::survey::unlabelled;
use crate::{Result, RunConfig, nesting_refusal};

/// What was found.
pub(crate) struct Readiness {
    /// What ends a run with an error, a line each.
    pub(crate) refusals: Vec<String>,
    /// What a run does not end for.
    pub(crate) warnings: Vec<String>,
}

impl Readiness {
    /// # Errors
    /// A chain that cannot read its labels.
    pub(crate) fn of(
        config: &RunConfig,
        data: &Dataset,
        chain: Option<&ChainAudit>,
    ) -> Result<Self> {
        let mut found = Self { refusals: Vec::new(), warnings: Vec::new() };
        found.model(config, data);
        found.labels(config, data)?;
        found.nesting(chain);
        if config.calibration.needs_rows() && data.validation.is_empty() {
            found.refusals.push(config.no_rows_to_calibrate().to_string());
        }
        if let Err(error) = config.truth(data) {
            found.refusals.push(error.to_string());
        }
        Ok(found)
    }

    /// The graph is built and no value of it is made.
    fn model(&mut self, config: &RunConfig, data: &Dataset) {
        if config.model.name().is_none() {
            let file = config.file();
            self.warnings.push(format!(
                "{file}: [model] has no `name`: `mtl compare` trains this file, `mtl train` does not"
            ));
            return;
        }
        let fits = |spec: &ModelSpec| -> Result<()> {
            let assembled = assemble::<f32>(spec, &data.schema)?;
            let layout = assembled.graph.layout();
            // As `train` does: the model alone, then what training and saving hold beside it.
            check_memory(layout, 1)?;
            Ok(check_memory(layout, config.train.copies(true))?)
        };
        let built = config
            .named_model()
            .and_then(|spec| fits(&spec).map_err(|error| config.in_file(error)));
        self.refusals.extend(built.err().map(|error| error.to_string()));
    }

    fn labels(&mut self, config: &RunConfig, data: &Dataset) -> Result<()> {
        let spec = config.model_spec("towers")?;
        let labels = labels_of(&spec.tasks, spec.behaviour_graph()?.as_ref(), &data.train)?;
        for Measure { name, weight, kind, .. } in spec.measures()? {
            let known = || labels[&name].iter().filter(|label| !label.is_nan());
            let first = known().next();
            // Of a stream the first block was looked at; the others may have labels.
            let of_rows =
                if config.data.stream { "the rows looked at" } else { "the training rows" };
            match first {
                None if weight > 0.0 && !config.data.stream => {
                    self.refusals.push(unlabelled(&name).to_string());
                }
                None => self.warnings.push(format!("{name}: none of {of_rows} has a label")),
                Some(first) if kind == mtl_feature::LabelKind::Binary => {
                    if known().all(|label| label == first) {
                        self.warnings.push(format!(
                            "{name}: every label of {of_rows} is {first}: its AUC there is undefined, \
                             and there is nothing to learn"
                        ));
                    }
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn nesting(&mut self, chain: Option<&ChainAudit>) {
        let refused = chain.filter(|chain| chain.policy == Nesting::Error);
        let first = refused.and_then(|chain| chain.violations.first());
        self.refusals.extend(first.map(|found| {
            let violation = Violation {
                event: found.event.clone(),
                without: found.without.clone(),
                count: found.rows,
                first_row: found.row,
            };
            nesting_refusal((&found.file, found.row), Some(found.part), &violation)
        }));
    }
}
