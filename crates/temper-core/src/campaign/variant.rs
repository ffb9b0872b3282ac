//! A network as one or several conditions store it, ready to run.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use super::arithmetic::Arithmetic;
use super::images::by_margin;
use crate::data::Inputs;
use crate::execution::{
    Extent, IntegerLayer, Masking, Origins, Program, TapId, Weights, Workspace, chunk_size, count_correct,
    logits_with,
};
use crate::fault::{Change, FaultSite, strike_activations};
use crate::memory::{Calibration, Memory, Part, TensorId};
use crate::network::NodeId;
use crate::number::NumberFormat;
use crate::statistics::ByMargin;

/// A stored network and its program.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) memory: Memory,
    pub(super) program: Program,
    /// The parameters without faults.
    pub(super) weights: Weights,
    /// The layers that compute in integers.
    pub(super) integer: Vec<IntegerLayer>,
    /// How far differences travel; found when first needed.
    masking: OnceLock<Option<Masking>>,
}

/// The fault-free run of a stored network.
#[derive(Debug, Clone)]
pub(super) struct GoldenRun {
    /// Outputs for all images, `[images, classes]`.
    pub(super) logits: Vec<f32>,
    /// Number of images whose label is the top class.
    pub(super) correct: u64,
    /// The places of its images near to another answer and far from it, ascending.
    pub(super) strata: ByMargin<Vec<usize>>,
}

impl GoldenRun {
    /// Whether an image is near to another answer.
    pub(super) fn is_near(&self, image: usize) -> bool {
        self.strata.near.binary_search(&image).is_ok()
    }
}

/// Values kept at each tap to find a range: enough for percentiles, and bounded.
const CALIBRATION_VALUES: usize = 1 << 20;

/// The sites that strike a batch of images.
#[derive(Debug, Clone, Copy)]
pub(super) enum Struck<'a> {
    /// The same in every image.
    All(&'a [FaultSite]),
    /// Those of each image.
    Each(&'a [Vec<FaultSite>]),
}

/// The struck activations of one image, by tensor.
type Strikes<'a> = BTreeMap<TensorId, Vec<&'a FaultSite>>;

impl Variant {
    /// Compiles a memory; activations get their ranges from the calibration images.
    ///
    /// # Panics
    /// When the memory cannot be computed in that arithmetic, which was checked before.
    pub(super) fn new(mut memory: Memory, calibration: Option<&Inputs<'_>>, arithmetic: Arithmetic) -> Self {
        let seen = match calibration.filter(|_| memory.needs_calibration()) {
            Some(inputs) => {
                let (program, weights) = Program::compile(memory.network(), &[], memory.taps());
                observe(&program, &weights, inputs)
            }
            None => Vec::new(),
        };
        memory.calibrate(seen);
        let integer = match arithmetic {
            Arithmetic::Float => Vec::new(),
            Arithmetic::Integer => memory.integer_layers().expect("checked with the conditions"),
        };
        let (program, weights) = compile(&memory, &[], &integer);
        Self { memory, program, weights, integer, masking: OnceLock::new() }
    }

    /// Compiles the network as stored, with the values of `observed` nodes kept.
    pub(super) fn observed(&self, observed: &[NodeId]) -> (Program, Weights) {
        compile(&self.memory, observed, &self.integer)
    }

    /// How far differences travel, if anything can be said of that.
    pub(super) fn masking(&self) -> Option<&Masking> {
        let find = || {
            let is_exact = |tap: TapId| {
                let format = self.memory.tensor(self.memory.at_tap(tap)).format;
                matches!(format, NumberFormat::F32 | NumberFormat::F64)
            };
            let masking = Masking::new(&self.program, &self.weights, &is_exact);
            masking.is_useful(&self.program).then_some(masking)
        };
        self.masking.get_or_init(find).as_ref()
    }

    /// Runs without faults.
    pub(super) fn golden(&self, inputs: &Inputs<'_>, progress: &(dyn Fn(usize) + Sync)) -> GoldenRun {
        let store = |_: Range<usize>, tap: TapId, values: &mut [f32]| self.store(tap, values);
        let logits = logits_with(&self.program, &self.weights, inputs, &store, progress);
        let correct = count_correct(&logits, inputs.dataset().labels());
        GoldenRun { correct, strata: by_margin(&logits, inputs.len()), logits }
    }

    /// Stores the activations of a batch at a tap: they become what their code words mean.
    pub(super) fn store(&self, tap: TapId, values: &mut [f32]) {
        let tensor = self.memory.tensor(self.memory.at_tap(tap));
        for image in values.chunks_exact_mut(tensor.values()) {
            tensor.codec().store(image);
        }
    }

    /// Runs a batch without faults and keeps its activations.
    pub(super) fn record(&self, weights: &Weights, workspace: &mut Workspace) {
        self.program.run_unstruck(weights, workspace, &mut |tap, values| self.store(tap, values));
    }

    /// What happens at the taps of a faulty run: activations are stored, then struck.
    pub(super) fn touch<'a>(&'a self, struck: Struck<'a>) -> impl FnMut(TapId, &mut [f32]) + use<'a> {
        let by_tensor = self.strikes_by_image(struck);
        move |tap, values| {
            self.store(tap, values);
            let id = self.memory.at_tap(tap);
            let per_image = self.memory.tensor(id).values();
            // One entry for all images, or one for each.
            for (image, strikes) in values.chunks_exact_mut(per_image).zip(by_tensor.iter().cycle()) {
                if let Some(sites) = strikes.get(&id) {
                    strike_activations(&self.memory, id, sites, image);
                }
            }
        }
    }

    fn strikes<'a>(&self, sites: &'a [FaultSite]) -> Strikes<'a> {
        let mut strikes = Strikes::new();
        for site in sites.iter().filter(|site| self.memory.tensor(site.tensor).tap().is_some()) {
            strikes.entry(site.tensor).or_default().push(site);
        }
        strikes
    }

    /// [`touch`](Self::touch) for one image at a time, of which a part may differ from the golden run.
    pub(super) fn touch_images<'a>(
        &'a self,
        struck: Struck<'a>,
    ) -> impl FnMut(TapId, usize, Extent, &mut [f32]) -> Extent + use<'a> {
        let by_tensor = self.strikes_by_image(struck);
        move |tap, image, differs, values| {
            let id = self.memory.at_tap(tap);
            let tensor = self.memory.tensor(id);
            let shape = self.program.tap_shape(tap);
            differs.for_each_run(shape, |start, len| {
                tensor.codec().store_from(start, &mut values[start..][..len]);
            });
            // One entry for all images, or one for each.
            let Some(sites) = by_tensor[image % by_tensor.len()].get(&id) else { return differs };
            strike_activations(&self.memory, id, sites, values);
            sites.iter().fold(differs, |all, site| all.union(struck_extent(site, shape)))
        }
    }

    fn strikes_by_image<'a>(&self, struck: Struck<'a>) -> Vec<Strikes<'a>> {
        match struck {
            Struck::All(sites) => vec![self.strikes(sites)],
            Struck::Each(images) => images.iter().map(|sites| self.strikes(sites)).collect(),
        }
    }

    /// The tap at which a site strikes, if it is an activation's, and what it may change there.
    pub(super) fn struck_at(&self, site: &FaultSite) -> Option<(TapId, Extent)> {
        let tap = self.memory.tensor(site.tensor).tap()?;
        Some((tap, struck_extent(site, self.program.tap_shape(tap))))
    }

    /// Where changed parameters enter the network.
    pub(super) fn origins(&self, changes: &[Change]) -> Origins {
        let mut origins = Origins::default();
        for change in changes {
            origins.add_parameter(&self.program, &self.weights, change.parameter, change.index);
        }
        origins
    }
}

/// Compiles a network as stored, with the values of `observed` nodes kept.
fn compile(memory: &Memory, observed: &[NodeId], integer: &[IntegerLayer]) -> (Program, Weights) {
    if memory.rounds_activations() {
        return Program::compile_integer(memory.network(), observed, memory.taps(), integer);
    }
    assert!(integer.is_empty(), "layers in integers read stored activations");
    let (mut program, mut weights) = Program::compile_to_strike(memory.network(), observed, memory.taps());
    program.use_winograd(&mut weights);
    (program, weights)
}

/// The part of a tensor of this shape that a site may change.
fn struck_extent(site: &FaultSite, shape: [usize; 3]) -> Extent {
    if site.part != Part::Values {
        return Extent::full(shape);
    }
    let places = (0..site.count).map(|i| Extent::cell(shape, site.start + i * site.step));
    places.fold(Extent::EMPTY, Extent::union)
}

/// The activations at every tap, in a run without faults and without stored activations; of many, evenly spaced ones and the extremes.
fn observe(program: &Program, weights: &Weights, inputs: &Inputs<'_>) -> Vec<Calibration> {
    let lens: Vec<usize> = (0..program.tap_count()).map(|tap| program.tap_len(TapId(tap))).collect();
    let mut seen: Vec<Calibration> =
        lens.iter().map(|&len| Calibration::new(len, inputs.len(), CALIBRATION_VALUES)).collect();
    let mut workspace = Workspace::new(program);
    let chunk = chunk_size(program);
    for start in (0..inputs.len()).step_by(chunk) {
        let images = start..inputs.len().min(start + chunk);
        inputs.fill(images.clone(), workspace.input_mut(program, images.len()));
        program.run_with(weights, &mut workspace, &mut |tap: TapId, values: &mut [f32]| {
            seen[tap.0].add(start * lens[tap.0], values);
        });
    }
    seen
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use crate::campaign::{Campaign, CampaignSpec, Observer, ProofPolicy, RunOptions};
    use crate::data::{Preprocessing, Split, digits};
    use crate::network::zoo::{Architecture, Family};

    struct Silent;

    impl Observer for Silent {
        fn inferences(&self, _: usize) {}

        fn is_cancelled(&self) -> bool {
            false
        }
    }

    #[test]
    fn what_proofs_need_is_found_only_where_they_are_tried() {
        let architecture = Architecture {
            input: vec![1, 8, 8],
            widths: vec![20, 20],
            padding: 0,
            ..Architecture::new(Family::Mlp)
        };
        let network = architecture.build().expect("sound");
        let data = digits(Split::Test).take(20).expect("enough");
        let toml = "seed = 1\nmodel.file = \"m.safetensors\"\ndata.set = \"digits\"\ntrials.count = 10\n\
                    [[fault]]\nmodel = \"bit-flip\"\nlayers = \"fc3\"\ncount = 1\n";
        let spec = CampaignSpec::parse(toml).expect("sound");
        for (proofs, found) in
            [(ProofPolicy::Never, false), (ProofPolicy::WhereTheyPay, false), (ProofPolicy::Always, true)]
        {
            let campaign = Campaign::new(&spec, &network, &Preprocessing::default(), &data, None);
            let campaign = campaign.expect("it fits");
            let golden = campaign.golden(&Silent);
            let options = RunOptions { proofs, ..RunOptions::default() };
            let trials = campaign.plan().trials();
            let stopped =
                campaign.run(&golden, trials, &options, &Silent, |_| ControlFlow::<()>::Continue(()));
            assert_eq!(stopped, Ok(None));
            assert_eq!(campaign.variants[0].masking.get().is_some(), found, "{proofs:?}");
        }
    }
}
