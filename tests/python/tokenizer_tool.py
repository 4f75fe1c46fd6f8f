"""Runs the C++ tokenizer over many texts at once."""
import array
import json
import os
import pathlib
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("TCA_TOKENIZE", ROOT / "build/release/tests/tca_tokenize")


class ToolError(Exception):
    """What the tool said on standard error."""


def run(folder, mode, items):
    data = b"".join(struct.pack("<I", len(item)) + item for item in items)
    done = subprocess.run([PROGRAM, folder, mode], input=data, capture_output=True, timeout=300, check=False)
    if done.returncode != 0:
        raise ToolError(done.stderr.decode())
    results = []
    at = 0
    while at < len(done.stdout):
        (size,) = struct.unpack_from("<I", done.stdout, at)
        results.append(done.stdout[at + 4 : at + 4 + size])
        at += 4 + size
    assert len(results) == len(items)
    return results


def encode(folder, texts, mode="encode"):
    """Token ids of texts, given as bytes."""
    return [list(array.array("i", result)) for result in run(folder, mode, texts)]


def decode(folder, sequences, mode="decode"):
    items = [array.array("i", ids).tobytes() for ids in sequences]
    return [result.decode("utf-8") for result in run(folder, mode, items)]


def chats(folder, requests):
    """What the model's chat form makes of each request: {"text", "ids"}, or {"category", "error"}."""
    return [json.loads(reply) for reply in run(folder, "chat", [json.dumps(request).encode() for request in requests])]


def stop_ids(folder):
    (reply,) = run(folder, "stop_ids", [b"{}"])
    return json.loads(reply)
