"""Runs the C++ interpreter of chat templates, and jinja2 as Transformers sets it up, over many templates at once."""
import copy
import json
import os
import pathlib
import subprocess

from transformers.utils.chat_template_utils import _compile_jinja_template

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("TCA_JINJA", ROOT / "build/release/tests/tca_jinja")
UNSUPPORTED = 1  # tca::ErrorCategory


def render(requests):
    """Answers to requests, each a dict as the tool describes it."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run([PROGRAM], input=lines.encode(), capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(requests)
    return answers


def expected(template, context):
    """jinja2's text, or the error that it raises."""
    try:
        # A copy, since some filters change a list that they are given by mistake.
        text = _compile_jinja_template(template).render(**copy.deepcopy(context))
        text.encode()
        return text, None
    except Exception as error:  # jinja2 lets every exception of Python through
        return None, error
