"""What the machine is, and what runs on it."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from temper_cli import Temper

PACKAGES = ("torch", "pytorchfi", "MRFI", "onnxruntime", "numpy")
# The instruction sets that matter to inference.
INSTRUCTION_SETS = ("avx2", "fma", "avx512f", "avx512_vnni", "amx_tile", "asimd")


def threads() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def facts(temper: Temper, packages: Sequence[str] = PACKAGES) -> dict[str, object]:
    """For the record."""
    model, flags = _processor()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": model,
        "cores": threads(),
        "instruction_sets": [name for name in INSTRUCTION_SETS if name in flags],
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "temper": f"{temper.version()} ({_commit()})",
        **{name: version(name) for name in packages},
    }


def _processor() -> tuple[str, set[str]]:
    information = Path("/proc/cpuinfo")
    if not information.exists():
        return platform.processor(), set()
    fields = dict(line.split(":", 1) for line in information.read_text().splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    return fields.get("model name", platform.processor()), set(fields.get("flags", fields.get("Features", "")).split())


def _commit() -> str:
    arguments = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    return subprocess.run(arguments, capture_output=True, text=True, check=False).stdout.strip() or "unknown commit"
