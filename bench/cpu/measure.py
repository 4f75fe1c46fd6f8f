"""Timing and reporting shared by the CPU benchmarks; the standard library alone."""
import datetime
import itertools
import json
import os
import pathlib
import platform
import sys
import time

FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


def integers(text):
    return tuple(int(part) for part in text.split(","))


def machine(threads):
    """What a figure depends on."""
    info = pathlib.Path("/proc/cpuinfo").read_text()
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = fields.get("flags", "").split()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": f"{fields.get('model name', platform.machine())} (family {fields.get('cpu family', '?')}, model "
                   f"{fields.get('model', '?')})",
            "flags": [flag for flag in FLAGS if flag in flags], "cores": os.cpu_count(), "threads": threads,
            "memory_gib": round(memory / 2 ** 30), "date": datetime.date.today().isoformat(),
            "command": " ".join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]])}


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turn(calls):
    """One that makes the next of the calls."""
    cycle = itertools.cycle(calls)
    return lambda: next(cycle)()


def take_turns(items, budget):
    """Times {name: call} one after the other, again and again, for the budget in seconds after a warm-up round. A round
    that takes longer than the budget is the only one. Returns {name: [seconds]}."""
    times = {name: [seconds(call)] for name, call in items.items()}
    round_seconds = sum(t[0] for t in times.values())
    if round_seconds > budget:
        return times
    times = {name: [] for name in items}
    start = time.perf_counter()
    while not times[next(iter(items))] or time.perf_counter() - start + round_seconds < budget:
        for name, call in items.items():
            times[name].append(seconds(call))
    return times


def write(path, result):
    temporary = pathlib.Path(f"{path}.part")
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    temporary.replace(path)


def number(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(head, lines):
    rows = [[str(cell) for cell in row] for row in [head, *lines]]
    if len(rows) == 1:
        return
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)))
    print()
