//! What a row of a Sandwich-RAM reads when all its cells deviate alike: the case that the ACIMS paper verifies its model by (Figure 3).
//!
//! `cargo run -p temper-report --example sandwich_ram_row > docs/results/sandwich-ram-row.svg`

use std::error::Error;

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use temper_core::hardware::{AdderBuffers, Adders, Deviation, SandwichRam, SandwichRamSpec};
use temper_kernels::Windows;
use temper_report::{
    Axis, Band, Cell, Chart, Column, Figure, Format, Line, Lines, Marker, Point, Scale, Table, Width, draw,
};

/// Cells of the row.
const CELLS: usize = 28;

/// Corners of the process and how far pulses deviate there, in percent, as the paper gives them.
const CORNERS: [f64; 3] = [-35.1, 0.0, 63.0];

/// What the row reads of the largest features, where every cell's factor is `1 + percent / 100`.
fn reading(weight: f32, percent: f64) -> f64 {
    let modulator = Deviation { mean: 1.0 + percent / 100.0, ..Deviation::NONE };
    let spec = SandwichRamSpec { modulator, ..SandwichRamSpec::default().ideal() };
    let array = SandwichRam::draw(&spec, [1, CELLS], &mut ChaCha12Rng::seed_from_u64(0));
    let (mut features, mut sum) = ([255.0; CELLS], [0.0]);
    let noiseless: &mut [ChaCha12Rng] = &mut [];
    Adders::new(array, &[weight; CELLS]).run(
        &Windows::of_rows(CELLS),
        &mut features,
        &mut sum,
        noiseless,
        &mut AdderBuffers::default(),
    );
    f64::from(sum[0])
}

fn main() -> Result<(), Box<dyn Error>> {
    let line = |weight: f32| {
        let steps = (0..=100).map(|step| CORNERS[0] + (CORNERS[2] - CORNERS[0]) * f64::from(step) / 100.0);
        let points = steps.map(|x| Point { x, y: reading(weight, x), band: None });
        Line {
            label: format!("weights {weight:+}").replace('-', "−"),
            points: points.collect(),
            band: Band::None,
        }
    };
    let axis = |title: &str| Axis {
        title: title.to_owned(),
        scale: Scale::Linear,
        format: Format::Plain,
        limits: None,
    };
    let markers =
        CORNERS.map(|x| Marker { x, label: "ff70, tt25, ss0".to_owned(), is_result: false }).to_vec();
    let figure = Figure {
        id: "sandwich-ram-row".to_owned(),
        title: "A row of 28 cells with the largest features".to_owned(),
        caption: String::new(),
        alt: "The reading grows with the deviation for weights +1; for weights −1 it falls, until the pulse vanishes at −7140."
            .to_owned(),
        chart: Chart::Lines(Lines {
            x: axis("deviation of the modulators, percent"),
            y: axis("reading, steps of the feature"),
            lines: vec![line(1.0), line(-1.0)],
            markers,
            reference: None,
            dots: false,
        }),
        table: Table { columns: Vec::<Column>::new(), rows: Vec::<Vec<Cell>>::new() },
    };
    println!("{}", draw(&figure, Width::Wide)?);
    Ok(())
}
