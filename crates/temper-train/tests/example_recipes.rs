//! The recipes of `examples/recipes` are sound: they parse, and their networks and phases go together.

use std::fs;
use std::path::Path;

use temper_core::network::Network;
use temper_train::recipe::{NetworkSource, RecipeSpec};
use temper_train::stored::Stored;

#[test]
fn every_recipe_parses_and_fits_its_network() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/recipes");
    let mut seen = 0;
    for entry in fs::read_dir(folder).expect("the folder exists") {
        let path = entry.expect("an entry").path();
        let name = path.display();
        let text = fs::read_to_string(&path).expect("a text file");
        let recipe = RecipeSpec::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let network = network(&recipe);
        for phase in &recipe.phases {
            Stored::new(recipe.seed, &network, phase).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a plain name");
        let command = format!("temper train examples/recipes/{stem}.toml -o runs/{stem}");
        assert!(text.contains(&command), "{name} does not say how it is run: {command}");
        seen += 1;
    }
    assert!(seen >= 6, "{seen} recipes");
}

/// The network of a recipe, for the images of its data set.
fn network(recipe: &RecipeSpec) -> Network {
    let shape = match recipe.data.set.as_str() {
        "mnist" | "fashion-mnist" => [1, 28, 28],
        "cifar-10" => [3, 32, 32],
        other => panic!("what shape has {other}?"),
    };
    match recipe.network.source(shape, 10).expect("the images fit") {
        NetworkSource::Architecture(architecture) => architecture.build().expect("a sound architecture"),
        NetworkSource::Description(description) => description.build().expect("a sound description"),
        NetworkSource::File(file) => panic!("{} is not among the examples", file.display()),
    }
}
