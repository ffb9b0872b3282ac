//! One trial alone, and how far it carries the network from the golden run, layer by layer.

use std::ops::Range;

use rayon::prelude::*;
use serde::Serialize;

use super::chip::TrialChip;
use super::engine::{Golden, Observer};
use super::outcome::Outcomes;
use super::plan::Trial;
use super::resolved::Campaign;
use super::variant::Struck;
use crate::execution::{Program, Weights, Workspace, chunk_size};
use crate::fault::{FaultSite, changes, strike};
use crate::network::NodeId;

/// A trial run again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replay {
    /// What became of the inferences.
    pub outcomes: Outcomes,
    /// How far each node's output departs from the golden run, in execution order.
    pub departures: Vec<Departure>,
    /// The first node from which on nothing departs any more, if the fault was masked there in every image.
    pub masked_at: Option<String>,
}

/// How far a node's outputs depart from the golden ones, over the trial's images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Departure {
    /// The node.
    pub node: String,
    /// Its kind.
    pub kind: &'static str,
    /// Values over the trial's images.
    pub values: u64,
    /// Those that differ from the golden ones in any bit.
    pub changed: u64,
    /// Images in which any value differs.
    pub changed_images: u64,
    /// Values that are NaN or infinite, and are not in the golden run.
    pub not_finite: u64,
    /// Root of the mean squared difference of all values; of those that are finite in both runs.
    pub rms_error: f64,
    /// The largest difference among them.
    pub max_error: f64,
}

/// Sums from which departures follow.
#[derive(Clone, Copy, Default)]
struct Sums {
    values: u64,
    changed: u64,
    changed_images: u64,
    not_finite: u64,
    squares: f64,
    max: f64,
}

impl Sums {
    fn add(&mut self, golden: &[f32], faulty: &[f32]) {
        self.values += golden.len() as u64;
        let before = self.changed;
        for (golden, faulty) in golden.iter().zip(faulty) {
            if golden.to_bits() == faulty.to_bits() {
                continue;
            }
            self.changed += 1;
            if golden.is_finite() && faulty.is_finite() {
                let difference = (f64::from(*faulty) - f64::from(*golden)).abs();
                self.squares += difference * difference;
                self.max = self.max.max(difference);
            } else {
                self.not_finite += u64::from(golden.is_finite());
            }
        }
        self.changed_images += u64::from(self.changed > before);
    }

    fn merge(&mut self, other: &Self) {
        self.values += other.values;
        self.changed += other.changed;
        self.changed_images += other.changed_images;
        self.not_finite += other.not_finite;
        self.squares += other.squares;
        self.max = self.max.max(other.max);
    }
}

/// What one thread needs: a program that keeps every node's output.
struct Observed<'a> {
    campaign: &'a Campaign<'a>,
    trial: Trial,
    program: Program,
    weights: Weights,
    chip: Option<TrialChip>,
    nodes: Vec<NodeId>,
}

impl Campaign<'_> {
    /// Runs one trial alone, on the current rayon pool, and looks at every node on the way. The outcomes are those of its record, bit
    /// for bit: a program whose nodes are not fused computes the same.
    pub fn replay(&self, golden: &Golden, trial: Trial, observer: &dyn Observer) -> Replay {
        let variant = self.variant_of(trial);
        let network = variant.memory.network();
        let nodes: Vec<NodeId> = (0..network.nodes().len()).map(NodeId).collect();
        let (program, weights) = variant.observed(&nodes);
        let chip = self.chip_of(trial, &changes(&variant.memory, &self.permanent_sites(trial)));
        let observed = Observed { campaign: self, trial, program, weights, chip, nodes };
        let parts: Vec<(Outcomes, Vec<Sums>)> = observed
            .chunks(golden)
            .into_par_iter()
            .map(|images| {
                let part = observed.run(golden, images.clone());
                observer.inferences(images.len());
                part
            })
            .collect();
        // Added in the order of the images, so that the sums do not depend on threads.
        let mut outcomes = Outcomes::new(true);
        let mut sums = vec![Sums::default(); observed.nodes.len()];
        for (part, of_nodes) in &parts {
            outcomes += *part;
            sums.iter_mut().zip(of_nodes).for_each(|(sum, part)| sum.merge(part));
        }
        let departures: Vec<Departure> =
            observed.nodes.iter().zip(&sums).map(|(&id, sums)| observed.departure(id, sums)).collect();
        let last = departures.iter().rposition(|departure| departure.changed > 0);
        let masked_at =
            last.and_then(|last| departures.get(last + 1)).map(|departure| departure.node.clone());
        Replay { outcomes, departures, masked_at }
    }
}

impl Observed<'_> {
    /// The trial's images in parts that run together; single ones where it runs some only, or strikes each anew.
    fn chunks(&self, golden: &Golden) -> Vec<Range<usize>> {
        let Self { campaign, trial, program, .. } = self;
        if let Some(images) = campaign.images_of(golden, *trial) {
            return images.into_iter().map(|image| image..image + 1).collect();
        }
        let one_by_one = campaign.strikes_parameters_anew(*trial, &campaign.faults_of(*trial));
        let (images, chunk) = (campaign.images(), if one_by_one { 1 } else { chunk_size(program) });
        (0..images).step_by(chunk).map(|start| start..images.min(start + chunk)).collect()
    }

    /// Outcomes and departures on some images.
    fn run(&self, golden: &Golden, images: Range<usize>) -> (Outcomes, Vec<Sums>) {
        let Self { campaign, trial, program, .. } = self;
        let variant = campaign.variant_of(*trial);
        let mut clean = Workspace::recording(program);
        campaign.inputs.fill(images.clone(), clean.input_mut(program, images.len()));
        program.run_unstruck(&self.weights, &mut clean, &mut |tap, values| variant.store(tap, values));
        let faults = campaign.faults_of(*trial);
        let sites: Vec<Vec<FaultSite>> =
            images.clone().map(|image| campaign.sites_of_image(*trial, &faults, image as u64)).collect();
        let mut weights = self.weights.clone();
        // Where parameters are struck anew for every image, there is one image.
        strike(&changes(&variant.memory, &sites[0]), &mut weights);
        if let Some(chip) = &self.chip {
            chip.mount(&mut weights);
        }
        let mut faulty = Workspace::recording(program);
        campaign.inputs.fill(images.clone(), faulty.input_mut(program, images.len()));
        faulty.number(images.clone());
        program.run_with(&weights, &mut faulty, &mut variant.touch(Struck::Each(&sites)));
        let outcomes = campaign.classify(golden, *trial, images.clone(), faulty.output(program));
        let sums = self.nodes.iter().map(|&node| {
            let mut sums = Sums::default();
            let pair = clean.activation(program, node).zip(faulty.activation(program, node));
            if let Some((golden, faulty)) = pair {
                let len = golden.len() / images.len();
                let values = golden.chunks_exact(len).zip(faulty.chunks_exact(len));
                values.for_each(|(golden, faulty)| sums.add(golden, faulty));
            }
            sums
        });
        (outcomes, sums.collect())
    }

    fn departure(&self, id: NodeId, sums: &Sums) -> Departure {
        let node = self.campaign.variant_of(self.trial).memory.network().node(id);
        Departure {
            node: node.name.clone(),
            kind: node.op.kind(),
            values: sums.values,
            changed: sums.changed,
            changed_images: sums.changed_images,
            not_finite: sums.not_finite,
            rms_error: (sums.squares / sums.values.max(1) as f64).sqrt(),
            max_error: sums.max,
        }
    }
}
