#!/usr/bin/env python3
"""Draws docs/figures/cpu.svg: time to first token over prompt length, from what bench/cpu/end_to_end.py wrote."""
import argparse
import json
import math
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERIES = (("tca, tca", "TCA", "ours"), ("tca, full", "tca, full attention", "full"), ("Transformers", "Transformers", "hf"),
          ("llama.cpp", "llama.cpp", "llama"))
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 64, 170, 48, 48
STYLE = """
  text { font: 13px sans-serif; fill: #24292f; } .small { font-size: 12px; fill: #57606a; }
  .title { font-size: 15px; font-weight: 600; } .grid { stroke: #d0d7de; stroke-width: 1; }
  path { fill: none; stroke-width: 2.5; } .ours { stroke: #0969da; } .full { stroke: #8250df; }
  .hf { stroke: #bf8700; } .llama { stroke: #cf222e; } circle { fill: #ffffff; stroke-width: 2; }
  .background { fill: #ffffff; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .small { fill: #9da7b3; } .grid { stroke: #30363d; } circle { fill: #0d1117; }
    .background { fill: #0d1117; } .ours { stroke: #58a6ff; } .full { stroke: #bc8cff; } .hf { stroke: #e3b341; }
    .llama { stroke: #ff7b72; }
  }"""


def scale(low, high, begin, end):
    """Logarithmic."""
    return lambda x: begin + (end - begin) * math.log(x / low) / math.log(high / low)


def apart(labels, distance):
    """[(y, ...)] moved down where they would touch."""
    placed = []
    for label in sorted(labels):
        y = label[0] if not placed else max(label[0], placed[-1][0] + distance)
        placed.append((y, *label[1:]))
    return placed


def draw(result):
    points = {key: [(row["tokens"], row["first_token_seconds"]) for row in result["rows"]
                    if row["name"] == key and "first_token_seconds" in row] for key, _, _ in SERIES}
    lengths = sorted({tokens for of_series in points.values() for tokens, _ in of_series})
    seconds = [s for of_series in points.values() for _, s in of_series]
    low, high = 10 ** math.floor(math.log10(min(seconds))), 10 ** math.ceil(math.log10(max(seconds)))
    x = scale(lengths[0], lengths[-1], LEFT, WIDTH - RIGHT)
    y = scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
             "<title>Time to first token over prompt length</title>", f"<style>{STYLE}</style>",
             f'<rect class="background" width="{WIDTH}" height="{HEIGHT}"/>',
             f'<text class="title" x="{LEFT}" y="24">Time to first token, lookback-28m, '
             f'{result["machine"]["threads"]} cores</text>']
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        at = y(10 ** power)
        parts += [f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>',
                  f'<text class="small" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{10 ** power:g} s</text>']
    for tokens in lengths:
        parts.append(f'<text class="small" x="{x(tokens):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">'
                     f"{tokens / 1024:.0f}K</text>")
    parts.append(f'<text class="small" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">prompt, '
                 "tokens</text>")
    labels = []
    for key, label, name in SERIES:
        if not points[key]:
            continue
        at = [(x(tokens), y(s)) for tokens, s in points[key]]
        parts.append(f'<path class="{name}" d="M{" L".join(f"{a:.1f} {b:.1f}" for a, b in at)}"/>')
        parts += [f'<circle class="{name}" cx="{a:.1f}" cy="{b:.1f}" r="3.5"/>' for a, b in at]
        tokens, s = points[key][-1]
        text = f"{label}, {s:.0f} s" if s >= 10 else f"{label}, {s:.1f} s"
        a, b = at[-1]
        if tokens == lengths[-1]:
            labels.append((b + 4, a + 9, text))
        else:  # above its end, where no other line is
            parts.append(f'<text x="{a + 6:.1f}" y="{b - 11:.1f}" text-anchor="end">{text}</text>')
    parts += [f'<text x="{a:.1f}" y="{b:.1f}">{text}</text>' for b, a, text in apart(labels, 16)]
    return "\n".join([*parts, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "bench/results/cpu_end_to_end_amx.json")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "docs/figures/cpu.svg")
    args = parser.parse_args()
    args.output.parent.mkdir(exist_ok=True)
    args.output.write_text(draw(json.loads(args.results.read_text())))


if __name__ == "__main__":
    main()
