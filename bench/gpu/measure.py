"""Timing and reporting shared by the GPU benchmarks."""
import contextlib
import datetime
import json
import pathlib
import statistics
import subprocess
import sys

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]


def machine():
    query = "name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.limit"
    fields = query.split(",")
    try:
        values = subprocess.run(["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"], capture_output=True,
                                text=True, check=True, timeout=20).stdout.strip().split("\n")[0].split(", ")
    except (OSError, subprocess.SubprocessError):
        values = [torch.cuda.get_device_name()] + ["unknown"] * (len(fields) - 1)
    return dict(zip(fields, values)) | {"torch": torch.__version__, "cuda": torch.version.cuda,
                                        "cudnn": torch.backends.cudnn.version(),
                                        "date": datetime.date.today().isoformat(), "command": " ".join(sys.argv)}


class Item:
    """Something to time: call(i) is its i-th launch; `context` is entered around a run of launches."""

    def __init__(self, name, call, context=contextlib.nullcontext):
        self.name, self.call, self.context = name, call, context
        self.graph = None


def first_line(error):
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"


def working(item):
    """None when item runs, else why it does not."""
    try:
        with item.context():
            item.call(0)
        torch.cuda.synchronize()
    except (RuntimeError, torch.cuda.OutOfMemoryError) as error:
        return first_line(error)
    return None


def capture(item, launches):
    """A CUDA graph of so many launches."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side), item.context():
        for i in range(2):
            item.call(i)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with item.context(), torch.cuda.graph(graph):
        for i in range(launches):
            item.call(i)
    return graph


def time_items(items, launches, rounds, graph):
    """Milliseconds of one launch of each item, median over rounds in which they take turns."""
    for item in items:
        if graph:
            item.graph = capture(item, launches)
        for _ in range(1 if launches == 1 else 2):
            _run(item, launches)
    samples = {item.name: [] for item in items}
    for _ in range(rounds):
        for item in items:
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            with item.context():
                begin.record()
                _run(item, launches, inside=True)
                end.record()
            end.synchronize()
            samples[item.name].append(begin.elapsed_time(end) / launches)
    for item in items:
        item.graph = None
    return {name: statistics.median(values) for name, values in samples.items()}


def _run(item, launches, inside=False):
    if item.graph is not None:
        item.graph.replay()
        return
    with contextlib.nullcontext() if inside else item.context():
        for i in range(launches):
            item.call(i)


def peaks():
    """bf16 TFLOP/s of a matrix product and TB/s (read and write) of a copy."""
    a = torch.randn(8192, 8192, dtype=torch.bfloat16, device="cuda")
    b = torch.randn(8192, 8192, dtype=torch.bfloat16, device="cuda")
    c = torch.empty_like(a)
    source = torch.empty(1 << 32, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    times = time_items([Item("matmul", lambda _: torch.mm(a, b, out=c)),
                        Item("copy", lambda _: target.copy_(source))], 5, 10, graph=False)
    return {"tflops": 2 * 8192 ** 3 / times["matmul"] / 1e9, "tbps": 2 * (1 << 32) / times["copy"] / 1e9}


def table(title, header, rows):
    print(f"\n### {title}\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |")
    sys.stdout.flush()


def write(path, result):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten: {path}")
