"""A recipe in PyTorch."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, OneCycleLR

import images
import networks
from training.recipe import Recipe

# By what `[network]` says.
ARCHITECTURES = {
    "mlp": networks.Mlp,
    "lenet5": networks.LeNet5,
    "resnet8": lambda: networks.ResNet((16, 32, 64), 1, "A"),
    "resnet18": lambda: networks.ResNet((64, 128, 256, 512), 2, "B"),
}
# Images of a batch when nothing is learnt.
TEST_BATCH = 500


@dataclass(frozen=True)
class Split:
    """Images as stored, and their labels."""

    pixels: Tensor
    """`[N, C, H, W]`, bytes."""
    labels: Tensor


class Data:
    """The images of a recipe, and the mean and standard deviation of each channel of the training images."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        def load(split: str, count: int | None) -> Split:
            pixels, labels = images.load(folder, recipe.data, split, count)
            return Split(torch.from_numpy(pixels.copy()), labels)

        self.train, self.test = load("train", recipe.train_limit), load("test", None)
        values = self.train.pixels.double() / 255
        self.mean = values.mean((0, 2, 3)).float().view(1, -1, 1, 1)
        self.std = values.std((0, 2, 3), correction=0).float().view(1, -1, 1, 1)

    def inputs(self, pixels: Tensor) -> Tensor:
        """Normalised."""
        return (pixels.float() / 255 - self.mean) / self.std


def train(recipe: Recipe, data: Data, seed: int) -> tuple[list[float], float]:
    """The test accuracy after each epoch, and the seconds taken."""
    began = time.perf_counter()
    torch.manual_seed(seed)
    model = network(recipe)
    steps = -(-len(data.train.labels) // recipe.batch_size)
    optimizer, schedule, each_step = _optimizer(recipe, model, steps)
    accuracies = []
    for _ in range(recipe.epochs):
        model.train()
        for batch in torch.randperm(len(data.train.labels)).split(recipe.batch_size):
            inputs = data.inputs(_augmented(data.train.pixels[batch], recipe))
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), data.train.labels[batch]).backward()
            optimizer.step()
            if each_step:
                schedule.step()
        if not each_step:
            schedule.step()
        accuracies.append(_accuracy(model, data))
    return accuracies, time.perf_counter() - began


def network(recipe: Recipe) -> nn.Module:
    """The recipe's network with random parameters."""
    model = ARCHITECTURES[recipe.network["architecture"]]()
    if recipe.network.get("widths", [300, 100]) != [300, 100]:
        raise ValueError(f"{recipe.name}: the MLP here is 784-300-100-10")
    settings = dict(recipe.initialisation)
    kind = settings.pop("kind")
    if kind == "kaiming-normal":
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", **settings)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    elif kind != "pytorch":
        raise ValueError(f"{recipe.name}: no initialisation {kind} here")
    return model


def _optimizer(recipe: Recipe, model: nn.Module, steps: int) -> tuple[Optimizer, LRScheduler, bool]:
    """Optimiser, schedule, and whether the schedule moves with every step."""
    settings, schedule = dict(recipe.optimizer), dict(recipe.schedule)
    if (kind := settings.pop("kind")) != "sgd":
        raise ValueError(f"{recipe.name}: no optimiser {kind} here")
    optimizer = SGD(model.parameters(), **settings)
    match schedule.pop("kind"):
        case "constant":
            return optimizer, ConstantLR(optimizer, factor=1.0, **schedule), False
        case "cosine":
            return optimizer, CosineAnnealingLR(optimizer, **({"T_max": recipe.epochs} | schedule)), False
        case "one-cycle":
            return optimizer, OneCycleLR(optimizer, total_steps=recipe.epochs * steps, **schedule), True
        case kind:
            raise ValueError(f"{recipe.name}: no schedule {kind} here")


def _augmented(pixels: Tensor, recipe: Recipe) -> Tensor:
    """Cut from a black frame at a random place, and mirrored, each image by itself."""
    count, _, height, width = pixels.shape
    if padding := recipe.crop_padding:
        top, left = torch.randint(0, 2 * padding + 1, (2, count, 1, 1))
        rows, columns = top + torch.arange(height).view(-1, 1), left + torch.arange(width)
        padded = F.pad(pixels, (padding,) * 4)
        pixels = padded[torch.arange(count).view(-1, 1, 1), :, rows, columns].permute(0, 3, 1, 2)
    if recipe.flip > 0:
        flipped = torch.rand(count) < recipe.flip
        pixels = torch.where(flipped.view(-1, 1, 1, 1), pixels.flip(3), pixels)
    return pixels


@torch.inference_mode()
def _accuracy(model: nn.Module, data: Data) -> float:
    model.eval()
    batches = zip(data.test.pixels.split(TEST_BATCH), data.test.labels.split(TEST_BATCH), strict=True)
    correct: Iterator[int] = (
        (model(data.inputs(pixels)).argmax(1) == labels).sum().item() for pixels, labels in batches
    )
    return sum(correct) / len(data.test.labels)
