"""onnxruntime: inference without faults, since it folds and repacks the weights that faults would strike."""

import time
from collections.abc import Callable

import numpy as np
import onnxruntime

from case import Case, Contestant, Measurement, measurement
from contestants.temper import GOLDEN_PASSES
from workloads import Workload


class OnnxRuntime(Contestant):
    """All graph optimisations, its fastest batch size."""

    name = "onnxruntime"

    def takes(self, workload: Workload) -> bool:
        return workload.golden

    def prepare(self, case: Case, threads: int) -> Callable[[], Measurement]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        session = onnxruntime.InferenceSession(str(case.onnx()), options, providers=["CPUExecutionProvider"])
        images = case.images.numpy()

        def one_pass(size: int, count: int) -> tuple[float, np.ndarray]:
            batches = np.split(images[:count], range(size, count, size))
            began = time.perf_counter()
            logits = [session.run(None, {"images": batch})[0] for batch in batches]
            tops = np.concatenate([output.argmax(axis=1) for output in logits])
            return time.perf_counter() - began, tops

        def seconds_per_image(size: int) -> float:
            count = min(len(images), max(size, 500))
            return min(one_pass(size, count)[0] for _ in range(3)) / count

        sizes = [size for size in (25, 50, 100, 250, 500, 1000) if len(images) % size == 0]
        fastest = min(sizes, key=seconds_per_image)

        def run() -> Measurement:
            passes = [one_pass(fastest, len(images)) for _ in range(GOLDEN_PASSES)]
            return measurement(case, min(seconds for seconds, _ in passes), passes[0][1][None])

        return run
