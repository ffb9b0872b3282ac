//! The built-in experiment: everything needed is in the program.

use std::io::Write;
use std::time::Instant;

use anyhow::Result;

use crate::experiment::Request;

/// What is trained and struck.
pub(crate) const EXPERIMENT: &str = include_str!("../assets/quickstart.toml");

/// Trains small networks, strikes them with random bit flips, and shows what that costs and what hardening gains.
pub(crate) fn run(request: &Request<'_>, out: &mut (dyn Write + Send)) -> Result<()> {
    let began = Instant::now();
    eprintln!(
        "A network learns to read handwritten digits. Its weights lie in a memory, as 32-bit floats or as 8-bit integers; each stored\n\
         bit is flipped with a given probability (bit error rate), many times over. Then the network is trained to survive that.\n"
    );
    request.run(out)?;
    let shown = request.output.display();
    eprintln!("\n{:.1} s. In {shown}:", began.elapsed().as_secs_f64());
    eprintln!("  report/report.html     the report: open it in a browser");
    eprintln!("  report/figures, tables its figures (SVG, PNG) and tables (CSV)");
    eprintln!("  trainings, campaigns   networks, and the record of every trial");
    eprintln!(
        "  experiment.toml        the experiment: change a copy, and run `temper run COPY.toml -o DIR`"
    );
    Ok(())
}
