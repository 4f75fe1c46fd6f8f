"""tca tokenize: what it prints is what run and chat read, and what Transformers makes of it."""
import json

import pytest
from transformers import AutoTokenizer

from cli_program import MODEL, error_line, tca, tca_json

MESSAGES = [{"role": "user", "content": "Some text.\n"}, {"role": "assistant", "content": "é<|im_end|>"},
            {"role": "user", "content": [{"type": "text", "text": "What is the pass key?"}]}]


@pytest.fixture
def messages(tmp_path):
    path = tmp_path / "messages.json"
    path.write_text(json.dumps(MESSAGES), encoding="utf-8")
    return path


def test_a_text_is_what_run_reads():
    reference = AutoTokenizer.from_pretrained(MODEL)
    result = tca_json("tokenize", "--text", "Hello there")
    assert result["text"] == "Hello there" and result["chat_template"] is None
    assert result["ids"] == reference.encode("Hello there") and result["ids"][0] == 0
    assert result["pieces"] == [reference.decode([i]) for i in result["ids"]]
    assert sorted(result["stop_ids"]) == [0, 2]
    assert tca_json("run", "-p", "Hello there", "-n", "1")["prompt_tokens"] == len(result["ids"])


def test_messages_are_what_the_form_makes_of_them(messages):
    result = tca_json("tokenize", "--messages", messages)
    text = ("<|endoftext|><|im_start|>user\nSome text.\n<|im_end|>\n<|im_start|>assistant\né<|im_end|><|im_end|>\n"
            "<|im_start|>user\nWhat is the pass key?<|im_end|>\n<|im_start|>assistant\n")
    assert result["text"] == text and result["chat_template"].endswith("lookback-28m/tokenizer_config.json")
    assert result["ids"].count(2) == 3  # what the assistant wrote is none
    assert sorted(result["stop_ids"]) == [0, 2]
    closed = tca_json("tokenize", "--messages", messages, "--no-generation-prompt")
    assert text == closed["text"] + "<|im_start|>assistant\n"
    assert result["ids"][: len(closed["ids"])] == closed["ids"]


def test_a_question_is_read_as_these_messages(tmp_path):
    path = tmp_path / "messages.json"
    path.write_text(json.dumps([{"role": "user", "content": "Some text.\n"}, {"role": "user", "content": "Why?"}]))
    ids = tca_json("tokenize", "--messages", path)["ids"]
    assert tca_json("run", "-p", "Some text.", "-q", "Why?", "-n", "1")["prompt_tokens"] == len(ids)


def test_tools_and_another_template(tmp_path, messages):
    (tmp_path / "tools.json").write_text('[{"z": 1, "a": "é"}]')
    (tmp_path / "form.jinja").write_text("{{ tools | tojson }}{{ enable_thinking is defined and not enable_thinking }}"
                                         "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}")
    result = tca_json("tokenize", "--messages", messages, "--tools", tmp_path / "tools.json", "--no-thinking",
                      "--chat-template", tmp_path / "form.jinja")
    assert result["text"].startswith('[{"z": 1, "a": "é"}]True<|im_start|>Some text.')
    assert result["chat_template"] == str(tmp_path / "form.jinja")


def test_the_table_for_people(messages):
    done = tca("tokenize", "--messages", messages)
    assert done.returncode == 0
    text = done.stdout.decode()
    assert text.startswith("<|endoftext|><|im_start|>user\nSome text.")
    assert '  "<|im_start|>"\n' in text and '"\\n"' in text and "an answer ends with" in text


@pytest.mark.parametrize("content, message", [
    ("[", "messages.json: not valid JSON"), ("{}", "messages is {}"), ('[{"role": "user", "content": 1}]', "content is 1"),
    ('[{"role": "user", "role": "x", "content": ""}]', "occurs twice"),
])
def test_broken_files_are_named(tmp_path, content, message):
    (tmp_path / "messages.json").write_text(content)
    assert message in error_line(tca("tokenize", "--messages", tmp_path / "messages.json"), 1)


def test_wrong_command_lines(tmp_path, messages):
    assert "--text or --messages" in error_line(tca("tokenize"), 2)
    assert "--messages" in error_line(tca("tokenize", "--text", "x", "--messages", messages), 2)
    assert "--messages" in error_line(tca("tokenize", "--text", "x", "--tools", messages), 2)
    assert "--chat-template chatml: no such file" in error_line(
        tca("tokenize", "--messages", messages, "--chat-template", "chatml"), 1)
