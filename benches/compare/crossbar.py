"""Networks on resistive crossbars: Temper's `[[hardware]]` beside aihwkit, chips of the same kind on the same images.

A chip is drawn (programmed) and all images run on it, in turn by everyone, three times; the fastest round counts. Both
simulators quantise inputs to 7 and sums to 9 bits, scale each input vector by its largest magnitude, split columns at 512
inputs, and add constant read noise to every product. Programming errors are aihwkit's fit of a resistive memory (Wan et
al., Nature 2022) and Temper's default after it.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from aihwkit.inference.noise.reram import ReRamWan2022NoiseModel
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.simulator.configs import InferenceRPUConfig
from aihwkit.simulator.parameters.enums import BoundManagementType, NoiseManagementType, WeightNoiseType
from torch import Tensor, nn

import host
from networks import NETWORKS
from temper_cli import Temper, records

CHIPS = 3
ROUNDS = 3
IMAGES = {"MLP 784-300-100-10": 10_000, "LeNet-5": 2_000, "ResNet-20": 200}
BATCH = 200


@dataclass(frozen=True)
class Timed:
    """How fast all images ran on a chip, and how many of them were right on each chip."""

    seconds: float
    accuracies: list[float]


def configuration() -> InferenceRPUConfig:
    """The same chip as Temper's, in tiles of C++: those of PyTorch have no read noise."""
    config = InferenceRPUConfig()
    forward = config.forward
    forward.inp_res, forward.out_res, forward.out_bound = 1 / (2**7 - 2), 1 / (2**9 - 2), 12.0
    forward.out_noise, forward.inp_noise = 0.0, 0.0
    forward.w_noise, forward.w_noise_type = 0.01, WeightNoiseType.ADDITIVE_CONSTANT
    forward.noise_management, forward.bound_management = NoiseManagementType.ABS_MAX, BoundManagementType.NONE
    config.mapping.max_input_size, config.mapping.max_output_size = 512, 0
    config.mapping.weight_scaling_omega, config.mapping.digital_bias = 1.0, True
    config.noise_model = ReRamWan2022NoiseModel()
    config.drift_compensation = None
    return config


def passes(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """The share of images whose top class is right."""
    with torch.inference_mode():
        top = torch.cat([model(batch).argmax(1) for batch in inputs.split(BATCH)])
    return (top == labels).float().mean().item()


def in_torch(model: nn.Module, inputs: Tensor, labels: Tensor) -> Timed:
    """Without hardware."""
    began = time.perf_counter()
    accuracy = passes(model, inputs, labels)
    return Timed(time.perf_counter() - began, [accuracy])


def in_aihwkit(model: nn.Module, inputs: Tensor, labels: Tensor) -> Timed:
    """On chips, each programmed and read one second later."""
    analog = convert_to_analog(model, configuration()).eval()
    began = time.perf_counter()
    accuracies = []
    for _ in range(CHIPS):
        analog.program_analog_weights()
        analog.drift_analog_weights(1.0)
        accuracies.append(passes(analog, inputs, labels))
    return Timed((time.perf_counter() - began) / CHIPS, accuracies)


def in_temper(temper: Temper, file: Path, data: str, images: int, threads: int, digital: bool) -> Timed:
    """A campaign whose draws are chips; without hardware, the golden run."""
    folder = Path(tempfile.mkdtemp())
    try:
        if digital:
            options = ["--data", data, "--limit", str(images), "--threads", str(threads), "--data-dir", temper.data]
            found = json.loads(temper.run("eval", file, *options, "--json").stdout)
            return Timed(found["seconds"], [found["accuracy"]])
        spec = f"""seed = 1
model.file = {str(file)!r}
data = {{ set = "{data}", limit = {images} }}
trials.count = {CHIPS}
hardware = [{{ model = {{ kind = "crossbar", dac_bits = 7, adc_bits = 9 }} }}]
"""
        (folder / "spec.toml").write_text(spec)
        options = ["-o", folder / "run", "--data-dir", temper.data, "--threads", str(threads)]
        done = temper.run("campaign", "run", folder / "spec.toml", *options)
        line = next(line for line in done.stderr.splitlines() if line.startswith("golden run, trials and records: "))
        accuracies = [record["correct"] / record["images"] for record in records(folder / "run")]
        return Timed(float(line.split()[-2]) / CHIPS, accuracies)
    finally:
        shutil.rmtree(folder)


def compare(temper: Temper, work: Path, name: str, threads: int) -> list[str]:
    """Rows of the table."""
    network = NETWORKS[name]
    count = IMAGES[name]
    inputs, labels = network.inputs(temper.data, "test", count)
    model = network.build()
    model.load_state_dict(torch.load(work / "models" / f"{name}.pt", weights_only=True))
    model.eval()
    file = work / "models" / f"{name}.safetensors"
    torch.set_num_threads(threads)
    field: dict[str, Callable[[], Timed]] = {
        "Temper, digital": lambda: in_temper(temper, file, network.data, count, threads, True),
        "Temper, crossbar": lambda: in_temper(temper, file, network.data, count, threads, False),
        "PyTorch, digital": lambda: in_torch(model, inputs, labels),
        "aihwkit, crossbar": lambda: in_aihwkit(model, inputs, labels),
    }
    rounds = [{who: run() for who, run in field.items()} for _ in range(ROUNDS)]
    rows = []
    for who in field:
        rate = count / min(timed[who].seconds for timed in rounds)
        seen = [accuracy for timed in rounds for accuracy in timed[who].accuracies]
        cells = [name, str(threads), who, f"{float(f'{rate:.3g}'):,.0f}".replace(",", " ")]
        rows.append("| " + " | ".join([*cells, f"{100 * statistics.mean(seen):.2f}"]) + " |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("TEMPER_DATA"))
    parser.add_argument("--temper", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    given = parser.parse_args()
    temper = Temper(given.temper.resolve(), Path(given.data).resolve())
    facts = host.facts(temper, ("torch", "aihwkit"))
    print("\n".join(f"{fact}: {value}" for fact, value in facts.items()))
    print("\n| network | threads | | images/s | accuracy, % |\n|---|---|---|---|---|")
    for name in IMAGES:
        for threads in sorted({1, host.threads()}):
            print("\n".join(compare(temper, given.work.resolve(), name, threads)), flush=True)


if __name__ == "__main__":
    main()
