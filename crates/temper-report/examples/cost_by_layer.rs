//! What a trial costs, by the layer that is struck: processor time in inferences of the whole network.
//!
//! `cargo run --release -p temper-report --example cost_by_layer -- MODEL.safetensors SECONDS NAME=DIR… > docs/results/cost-by-layer.svg`
//!
//! `SECONDS` is the time of one inference on one thread (`temper eval --threads 1`). Each `DIR` is a campaign with `sweep.layers` over names of
//! layers; its line is called `NAME`. The table goes to the standard error stream.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use temper_core::campaign::CampaignDir;
use temper_core::network::{Model, Network, NodeId};
use temper_report::{
    Axis, Band, Cell, Chart, Column, Figure, Format, Line, Lines, Point, Scale, Table, Width, draw,
};

/// For each layer of a network, the share of its multiply-accumulates that lie in it and behind it.
fn shares(network: &Network) -> BTreeMap<String, f64> {
    let nodes = (0..network.nodes().len()).map(NodeId);
    let costs: Vec<u64> = nodes.map(|id| network.multiply_accumulates(id)).collect();
    let all: u64 = costs.iter().sum();
    let behind = |place: usize| costs[place..].iter().sum::<u64>() as f64 / all as f64;
    network.nodes().iter().enumerate().map(|(place, node)| (node.name.clone(), behind(place))).collect()
}

/// Processor seconds of a trial on one image, by layer.
fn seconds(dir: &CampaignDir) -> Result<BTreeMap<String, f64>, Box<dyn Error>> {
    let conditions = &dir.info().plan.conditions;
    let mut sums = vec![(0.0, 0.0); conditions.len()];
    dir.visit_records(|record| {
        let (seconds, images) = &mut sums[record.condition];
        *seconds += record.cpu_seconds;
        *images += record.outcomes.images as f64;
    })?;
    let layer =
        |place: usize| conditions[place].swept.first().map_or(String::new(), |swept| swept.value.to_string());
    Ok(sums.iter().enumerate().map(|(place, (seconds, images))| (layer(place), seconds / images)).collect())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, inference, campaigns @ ..] = arguments.as_slice() else {
        return Err("expected MODEL.safetensors SECONDS NAME=DIR…".into());
    };
    let shares = shares(&Model::load(Path::new(model))?.network);
    let inference: f64 = inference.parse()?;
    let mut lines = vec![Line {
        label: "the struck layer and all behind it".to_owned(),
        points: vec![Point { x: 0.0, y: 0.0, band: None }, Point { x: 1.0, y: 1.0, band: None }],
        band: Band::None,
    }];
    for campaign in campaigns {
        let (name, dir) = campaign.split_once('=').ok_or("expected NAME=DIR")?;
        let mut points = Vec::new();
        for (layer, seconds) in seconds(&CampaignDir::open(Path::new(dir))?)? {
            let x = *shares.get(&layer).ok_or_else(|| format!("the network has no layer {layer:?}"))?;
            eprintln!("| {name} | {layer} | {x:.3} | {:.4} |", seconds / inference);
            points.push(Point { x, y: seconds / inference, band: None });
        }
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        lines.push(Line { label: name.to_owned(), points, band: Band::None });
    }
    let axis = |title: &str| Axis {
        title: title.to_owned(),
        scale: Scale::Linear,
        format: Format::Plain,
        limits: None,
    };
    let figure = Figure {
        id: "cost-by-layer".to_owned(),
        title: "What a trial costs, by the layer that is struck".to_owned(),
        caption: String::new(),
        alt: "Processor time of a trial on one image against the share of the network from the struck layer on.".to_owned(),
        chart: Chart::Lines(Lines {
            x: axis("share of multiply-accumulates from the struck layer on"),
            y: axis("processor time, inferences"),
            lines,
            markers: Vec::new(),
            reference: None,
            dots: true,
        }),
        table: Table { columns: Vec::<Column>::new(), rows: Vec::<Vec<Cell>>::new() },
    };
    println!("{}", draw(&figure, Width::Wide)?);
    Ok(())
}
