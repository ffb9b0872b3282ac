"""Temper's recipes, as far as PyTorch's side can follow them."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Recipe:
    """A recipe of one phase. Settings of optimiser and schedule are in PyTorch's words, as Temper's are."""

    name: str
    text: str
    data: str
    train_limit: int | None
    network: dict
    """`[network]`, without the initialisation."""
    initialisation: dict
    epochs: int
    batch_size: int
    optimizer: dict
    schedule: dict
    crop_padding: int
    flip: float

    def of_seed(self, seed: int) -> str:
        """The recipe's text with another seed."""
        return _replaced(self.text, "seed", seed)


def read(file: Path, epochs: int | None = None) -> Recipe:
    """A recipe from its file, with another number of epochs if given; an error where PyTorch's side cannot follow."""
    text = file.read_text()
    if epochs is not None:
        text = _replaced(text, "epochs", epochs)
    content = tomllib.loads(text)
    [phase] = content.pop("phase")
    data, network = content.pop("data"), content.pop("network")
    augmentation = phase.pop("augmentation", {})
    content.pop("seed")
    recipe = Recipe(
        name=file.stem,
        text=text,
        data=data.pop("set"),
        train_limit=data.pop("train_limit", None),
        initialisation=network.pop("initialisation", {"kind": "pytorch"}),
        network=network,
        epochs=phase.pop("epochs"),
        batch_size=phase.pop("batch_size"),
        optimizer=phase.pop("optimizer"),
        schedule=phase.pop("schedule", {"kind": "constant"}),
        crop_padding=augmentation.pop("random_crop_padding", 0),
        flip=augmentation.pop("horizontal_flip", 0.0),
    )
    if left := [*content, *data, *phase, *augmentation]:
        raise ValueError(f"{file}: PyTorch's side cannot follow {', '.join(left)}")
    return recipe


def _replaced(text: str, key: str, value: int) -> str:
    """The text with the value of the only line that begins with `key`."""
    replaced, count = re.subn(rf"^{key} = \d+$", f"{key} = {value}", text, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"expected one line `{key} = …` in the recipe, found {count}")
    return replaced
