"""Runs the tca program for the tests of the command line."""
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("TCA_PROGRAM", str(ROOT / "build" / "release" / "tca"))
MODEL = ROOT / "models" / "lookback-28m"
NOVEL = ROOT / "examples" / "data" / "michael-armstrong.txt"
TIMEOUT = 120


def environment(**extra):
    """The tests' own terminal and settings must not show through."""
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TCA_MODELS", "TCA_DATA", "TCA_BACKEND")}
    return {**env, **extra}


def tca(*arguments, stdin=b"", env=None, **options):
    """The finished program: returncode, stdout and stderr as bytes."""
    return subprocess.run([PROGRAM, *map(str, arguments)], input=stdin, env=env or environment(), timeout=TIMEOUT,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **options)


def tca_json(*arguments, stdin=b"", env=None):
    """The one object on standard output of a command that succeeds."""
    done = tca(*arguments, "--json", stdin=stdin, env=env)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def error_line(done, code):
    """The one line that a failed command leaves on standard error."""
    text = done.stderr.decode()
    assert done.returncode == code, f"exit {done.returncode}: {text}"
    lines = text.splitlines()
    assert len(lines) == 1 and lines[0].startswith("tca: error: "), text
    return lines[0]


def novel(characters, begin=0):
    return NOVEL.read_text(encoding="utf-8")[begin : begin + characters]
