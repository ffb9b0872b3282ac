"""Times training steps of PyTorch, in a process of its own so that memory can be told.

    python -m training.step NETWORK THREADS SECONDS {eager,channels-last}

Prints what Temper's benchmark `step` prints.
"""

import json
import sys
import time
from itertools import count
from pathlib import Path

import torch
import torch.nn.functional as F

from training.pytorch import ARCHITECTURES

BATCH = 128
# As in Temper's benchmark.
WARM_UP = 2
FEWEST = 4


def main() -> None:
    name, threads, seconds, layout = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    memory_format = torch.channels_last if layout == "channels-last" else torch.contiguous_format
    model = ARCHITECTURES[name]().to(memory_format=memory_format).train()
    shape = (3, 32, 32) if name.startswith("resnet") else (1, 28, 28)
    inputs = torch.randn(BATCH, *shape).to(memory_format=memory_format)
    labels = torch.arange(BATCH) % 10
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    times: list[float] = []
    for step in count():
        began = time.perf_counter()
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
        if step >= WARM_UP:
            times.append(time.perf_counter() - began)
        if len(times) >= FEWEST and sum(times) >= float(seconds):
            break
    print(json.dumps({"network": name, "images": BATCH, "step_seconds": times, "peak_memory_bytes": _peak_memory()}))


def _peak_memory() -> int | None:
    """The largest resident set so far, where the system tells it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
