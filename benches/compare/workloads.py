"""What is measured."""

from dataclasses import dataclass

GOLDEN = "golden inference"


@dataclass(frozen=True)
class Workload:
    """A campaign of one condition, or inference without faults."""

    kind: str
    network: str
    images: int
    fault: str
    """The `[[fault]]` of Temper's campaign."""
    trials: int = 1
    """Trials that everyone runs. Temper goes on to more of them: its cost per trial falls with their number."""

    @property
    def golden(self) -> bool:
        return self.kind == GOLDEN

    @property
    def transient(self) -> bool:
        """Whether neurons are struck, others for every image; else weights, the same for all images."""
        return self.fault == _NEURON

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.network}"


# No weight is struck: the campaign that gives Temper's golden predictions.
_NO_FAULT = 'model = "zeroing"\ncount = 0'
# 0.1 % of the 268 336 weights.
_ZEROED = 'model = "zeroing"\ncount = 268'
_FLIPPED = 'model = "bit-flip"\ncount = 1'
_NEURON = """target = "activation"
model = "random-value"
low = -100.0
high = 100.0
lifetime = "transient"
count = 1"""


def workloads(quick: bool) -> list[Workload]:
    """All workloads; all numbers of images are multiples of 50, so that batches come out even."""

    def size(short: int, full: int) -> int:
        return short if quick else full

    return [
        Workload(GOLDEN, "LeNet-5", 10_000, _NO_FAULT),
        Workload(GOLDEN, "MLP 784-300-100-10", 10_000, _NO_FAULT),
        Workload(GOLDEN, "ResNet-20", size(500, 2000), _NO_FAULT),
        Workload(GOLDEN, "ResNet-18", size(100, 250), _NO_FAULT),
        Workload("268 weights zeroed", "ResNet-20", size(500, 1000), _ZEROED, size(4, 10)),
        Workload("one flipped bit in a weight", "ResNet-20", size(500, 1000), _FLIPPED, size(4, 10)),
        Workload("one flipped bit in a weight", "LeNet-5", size(1000, 5000), _FLIPPED, size(20, 40)),
        Workload("one neuron per image set to a random value", "ResNet-20", size(500, 1000), _NEURON, size(4, 10)),
    ]
