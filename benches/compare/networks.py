"""The networks in PyTorch, under the names of layers that Temper gives them, and where their weights come from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import images


class Mlp(nn.Module):
    """784-300-100-10."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(784, 300)
        self.fc2 = nn.Linear(300, 100)
        self.fc3 = nn.Linear(100, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


class LeNet5(nn.Module):
    """For 28x28 images, with ReLU and max-pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut: zero padding (option A of He et al. 2016), or a 1x1 convolution (option B)."""

    def __init__(self, channels: int, width: int, stride: int, option: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.pad = width - channels if option == "A" else 0
        self.downsample = None
        if option == "B" and (stride != 1 or channels != width):
            self.downsample = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.pad:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad // 2, self.pad // 2))
        elif self.downsample is not None:
            x = self.downsample(x)
        return F.relu(out + x)


class ResNet(nn.Module):
    """For 32x32 images: stages of basic blocks, the first convolution 3x3."""

    def __init__(self, widths: Sequence[int], blocks: int, option: str) -> None:
        super().__init__()
        channels = widths[0]
        self.conv1 = nn.Conv2d(3, channels, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.stages = len(widths)
        for stage, width in enumerate(widths):
            layers = []
            for block in range(blocks):
                layers.append(BasicBlock(channels, width, 2 if stage > 0 and block == 0 else 1, option))
                channels = width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.fc = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(x.mean((2, 3)))


@dataclass(frozen=True)
class Network:
    """A network, the data it is for, and where its weights come from."""

    build: Callable[[], nn.Module]
    data: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    architecture: tuple[str, ...]
    """What `temper model import` must be told of it."""
    weights: Callable[["Network", Path], nn.Module]

    def import_options(self) -> list[str]:
        """Options of `temper model import`."""
        mean, std = (",".join(map(str, values)) for values in (self.mean, self.std))
        return [*self.architecture, "--mean", mean, "--std", std]

    def inputs(self, data: Path, split: str, count: int | None = None) -> tuple[Tensor, Tensor]:
        """Normalised images and labels."""
        pixels, labels = images.load(data, self.data, split, count)
        return images.normalised(pixels, self.mean, self.std), labels


def _trained(network: Network, data: Path) -> nn.Module:
    """Three epochs of Adam from a fixed seed: below a minute."""
    torch.manual_seed(1)
    model = network.build()
    inputs, labels = network.inputs(data, "train")
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(3):
        for batch in torch.randperm(len(labels)).split(128):
            optimiser.zero_grad()
            F.cross_entropy(model(inputs[batch]), labels[batch]).backward()
            optimiser.step()
    return model


def _published(network: Network, data: Path) -> nn.Module:
    """The ResNet-20 of pytorch_resnet_cifar10, published accuracy 91.73 %."""
    checkpoint = torch.load(data / "models" / "resnet20-12fca82f.th", map_location="cpu", weights_only=True)
    state = {name.removeprefix("module."): value for name, value in checkpoint["state_dict"].items()}
    model = network.build()
    model.load_state_dict({name.replace("linear.", "fc."): value for name, value in state.items()})
    return model


def _random(network: Network, data: Path) -> nn.Module:
    """Random weights from a fixed seed, with the batch-norm statistics of 500 images."""
    torch.manual_seed(1)
    model = network.build()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model(network.inputs(data, "test", 500)[0])
    return model


_MNIST = {"data": "mnist", "mean": (0.1307,), "std": (0.3081,), "weights": _trained}
_CIFAR = {"data": "cifar-10", "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}

NETWORKS: dict[str, Network] = {
    "LeNet-5": Network(LeNet5, architecture=("--arch", "lenet5", "--input", "1,28,28"), **_MNIST),
    "MLP 784-300-100-10": Network(Mlp, architecture=("--arch", "mlp", "--input", "1,28,28"), **_MNIST),
    "ResNet-20": Network(
        lambda: ResNet((16, 32, 64), 3, "A"), architecture=("--arch", "resnet20"), weights=_published, **_CIFAR
    ),
    "ResNet-18": Network(
        lambda: ResNet((64, 128, 256, 512), 2, "B"), architecture=("--arch", "resnet18"), weights=_random, **_CIFAR
    ),
}
