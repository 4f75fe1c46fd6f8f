"""What users get wrong and what machines do to them: one clear line, the right exit code, nothing left behind."""
import json
import os
import pty
import resource
import shutil
import subprocess

import pytest

from cli_program import MODEL, PROGRAM, environment, error_line, model_copy, novel, replace, tca, tca_json

USAGE = [
    [],
    ["fly"],
    ["run", "--no-such-option"],
    ["run", "-p", "x", "--keep", "0"],
    ["run", "-p", "x", "--keep", "nan"],
    ["run", "-p", "x", "--keep", "1.5"],
    ["run", "-p", "x", "--tolerance", "-0.1"],
    ["run", "-p", "x", "--attention", "sparse"],
    ["run", "-p", "x", "--compute", "int4"],
    ["run", "-p", "x", "--weights", "int4"],
    ["run", "-p", "x", "--device", "abacus"],
    ["run", "-p", "x", "--device", "cuda:first"],
    ["run", "-p", "x", "--threads", "-1"],
    ["run", "-p", "x", "--threads", "many"],
    ["run", "-p", "x", "--max-tokens", "-1"],
    ["run", "-p", "x", "--kv-budget", "lots"],
    ["run", "-p", "x", "--kv-budget", "-1G"],
    ["run", "-p", "x", "--top-p", "0"],
    ["run", "-p", "x", "-f", "y"],
    ["run", "-p", "x", "--attention", "full", "--keep", "0.2"],
    ["run", "-p", "x", "--attention", "tca", "--keep", "1"],
    ["run", "-p", "x", "--keep", "1", "--tolerance", "0.1"],
    ["demo", "--keep", "1"],
    ["run", "-p", "x", "stray"],
    ["run", "-p"],
    ["chat", "--load", "a", "--document", "b"],
    ["calibrate"],
    ["calibrate", "-t", "x", "-o", "y", "--budgets", "0.1,2"],
    ["calibrate", "-t", "x", "-o", "y", "--no-facts"],
    ["bench", "--ctx", "0"],
    ["bench", "--ctx", "1024,x"],
    ["eval", "--documents", "0"],
    ["report", "-o", "x.html"],
    ["report", "x.json"],
    ["report", "x.json", "-o", "x.html", "--differences", "-1"],
    ["report", "x.json", "-o", "x.html", "--keep", "2"],
    ["demo", "--questions", "0"],
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_usage_errors_exit_2(arguments):
    done = tca(*arguments)
    error_line(done, 2)
    assert done.stdout == b""


def test_int8_weights_and_a_gpu_name_both_options():
    for done in (tca("run", "-p", "x", "--weights", "int8", "--device", "cuda"),
                 tca("run", "-p", "x", "--weights", "int8", "--device", "cuda:1"),
                 tca("run", "-p", "x", "--weights", "int8", env=environment(TCA_BACKEND="cuda"))):
        line = error_line(done, 2)
        assert "--weights int8" in line and "--device cpu" in line and "cuda" in line


def test_a_gpu_that_is_not_there_is_refused():
    done = tca("run", "-p", "x", "--device", "cuda:99")
    line = error_line(done, 1)
    assert "GPU" in line or "no CUDA" in line, line  # that there is no 99th, or none at all


def test_usage_errors_are_json_too():
    done = tca("run", "--keep", "7", "--json")
    line = error_line(done, 2)
    error = json.loads(done.stdout)["error"]
    assert error["category"] == "usage"
    assert line == "tca: error: " + error["message"]


def test_help_and_version():
    for arguments in (["--help"], ["--version"], *([c, "--help"] for c in
                      ("run", "chat", "calibrate", "inspect", "eval", "report", "demo", "bench"))):
        done = tca(*arguments)
        assert done.returncode == 0 and done.stderr == b"" and done.stdout, arguments
        assert max(map(len, done.stdout.decode().splitlines())) <= 100, arguments
    assert tca("--version").stdout.startswith(b"tca ")


@pytest.mark.parametrize("arguments, parts", [
    (["run", "-m", "no-such-model", "-p", "x"], ["no-such-model", "TCA_MODELS"]),
    (["run", "-m", "/no/such/dir", "-p", "x"], ["/no/such/dir"]),
    (["run", "-p", ""], ["prompt is empty"]),
    (["run", "-f", "/no/such/file"], ["/no/such/file"]),
    (["run"], ["prompt is empty", "standard input"]),
    (["run", "-p", novel(20000), "--ctx", "1024"], ["1024", "--ctx"]),
    (["run", "-p", "x", "--ctx", "500000"], ["500000", "131072"]),
    (["run", "-p", "x", "-q", "y", "--chat-template", "klingon"], ["klingon", "no such file", "Jinja template"]),
    (["run", "-p", "x", "--profile", "/no/such/profile.json"], ["/no/such/profile.json"]),
    (["chat", "--load", "/no/such/session"], ["/no/such/session"]),
    (["inspect", "/no/such/thing"], ["/no/such/thing"]),
    (["calibrate", "-t", "/no/such/text", "-o", "/tmp/tca-never-written.json"], ["/no/such/text"]),
    (["calibrate", "-t", "x", "-o", "/no/such/dir/p.json"], ["/no/such/dir/p.json"]),
    (["chat", "--ctx", "500000"], ["--ctx 500000", "131072"]),
    (["bench", "--ctx", "500000"], ["--ctx 500000", "131072"]),
    (["bench", "--decode", "200000"], ["--decode 200000", "131072"]),
    (["demo", "--ctx", "500000"], ["--ctx 500000", "131072"]),
    (["eval", "--ctx", "500000"], ["--ctx 500000", "131072"]),
    (["eval", "--ctx", "256", "--questions", "20"], ["--ctx", "--questions"]),
    (["calibrate", "-t", "michael-armstrong.txt", "-o", "/tmp/tca-never-written.json", "--tokens", "500000"],
     ["--tokens 500000", "131072"]),
], ids=lambda value: " ".join(value)[:60])
def test_failures_exit_1_and_say_what(arguments, parts):
    line = error_line(tca(*arguments), 1)
    for part in parts:
        assert part in line


def test_failures_are_json_too():
    done = tca("run", "-m", "/no/such/dir", "-p", "x", "--json")
    line = error_line(done, 1)
    error = json.loads(done.stdout)["error"]
    assert error["category"] == "io" and line.endswith(error["message"])


def test_no_prompt_on_a_terminal_is_a_usage_error():
    main, terminal = pty.openpty()
    try:
        done = subprocess.run([PROGRAM, "run"], stdin=terminal, capture_output=True, timeout=60, env=environment(),
                              check=False)
    finally:
        os.close(main)
        os.close(terminal)
    assert "--prompt-file" in error_line(done, 2)


def test_closed_standard_input_is_a_failure_not_a_crash():
    command = f'exec "{PROGRAM}" run <&-'
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60, env=environment(), check=False)
    assert "standard input" in error_line(done, 1)


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_output_that_cannot_be_written_is_a_failure(redirection):
    command = f'exec "{PROGRAM}" run -p "It was a dark night" -n 4 --quiet {redirection}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60, env=environment(), check=False)
    assert "standard output" in error_line(done, 1)


def test_closed_standard_error_changes_nothing():
    command = f'exec "{PROGRAM}" run -p "It was a dark night" -n 4 2>&-'
    done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, timeout=60, env=environment(), check=False)
    assert done.returncode == 0 and done.stdout


def test_a_reader_that_leaves_is_no_error():
    command = f'"{PROGRAM}" run -p "It was a dark night" -n 200 --quiet; echo "exit $?" >&2'
    done = subprocess.run(["sh", "-c", f"({command}) | head -c 1"], capture_output=True, timeout=60,
                          env=environment(), check=False)
    assert done.stderr == b"exit 0\n"


def test_prompt_that_is_not_utf8(tmp_path):
    prompt = tmp_path / "latin1.txt"
    prompt.write_bytes("Größe und mehr".encode("latin-1") + bytes(range(1, 256)))
    done = tca("run", "-f", prompt, "-n", "4", "--quiet")
    assert done.returncode == 0
    assert "not UTF-8" in done.stderr.decode()
    assert tca_json("run", "-f", prompt, "-n", "4")["prompt_tokens"] > 0


@pytest.mark.parametrize("content, part", [
    (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "pdftotext"), (b"PK\x03\x04\x14", "pandoc"), (b"\x1f\x8b\x08", "zcat"),
    (b"\xff\xfeH\x00i\x00", "iconv"), (b"It was\x00a night", "NUL byte at offset 6")],
    ids=["pdf", "zip", "gzip", "utf-16", "nul"])
def test_what_is_no_text_is_refused_with_what_to_do(content, part, tmp_path):
    path = tmp_path / "document"
    path.write_bytes(content)
    for arguments in (["run", "-f"], ["chat", "-d"], ["eval", "--ctx", "600", "--text"], ["bench", "--ctx", "600", "--text"],
                      ["calibrate", "-o", tmp_path / "p.json", "-t"]):
        line = error_line(tca(*arguments, path), 1)
        assert part in line and str(path) in line
    assert part in error_line(tca("run", stdin=content), 1)
    assert part in error_line(tca("chat", stdin=content + b"\n"), 1)


def test_a_byte_order_mark_is_no_text(tmp_path):
    path = tmp_path / "marked.txt"
    path.write_text("It was a dark night", encoding="utf-8-sig")
    plain = tca_json("run", "-p", "It was a dark night", "-n", "2")
    for marked in (tca_json("run", "-f", path, "-n", "2"), tca_json("run", "-n", "2", stdin=path.read_bytes())):
        assert (marked["prompt_tokens"], marked["text"]) == (plain["prompt_tokens"], plain["text"])


def test_folders_are_read_file_by_file(tmp_path):
    folder = tmp_path / "letters"
    (folder / "old").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "b.txt").write_text("Dear Mary,")
    (folder / "a.txt").write_text("\ufeffDear John,\n")
    (folder / "old" / "c.txt").write_text("Dear Sue,")
    (folder / "seal.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (folder / ".git" / "config").write_text("hidden")
    (folder / ".draft").write_text("hidden")
    whole = (f"# {folder}/a.txt\n\nDear John,\n\n# {folder}/b.txt\n\nDear Mary,\n\n"
             f"# {folder}/old/c.txt\n\nDear Sue,")
    expected = tca_json("run", "-p", whole, "-n", "4")
    result = json.loads(tca("run", "-f", folder, "-n", "4", "--json").stdout)
    assert (result["prompt_tokens"], result["text"]) == (expected["prompt_tokens"], expected["text"])
    assert b"3 files read; left out: 2 hidden, 1 binary" in tca("run", "-f", folder, "-n", "1").stderr
    files = [folder / "a.txt", folder / "b.txt", folder / "old" / "c.txt"]
    assert tca_json("run", "-f", *files, "-n", "4")["text"] == expected["text"]
    assert tca_json("run", "-f", files[0], "-f", files[1], "-f", files[2], "-n", "4")["text"] == expected["text"]
    document = tca_json("chat", "-d", folder, files[0], stdin=b"")["document"]
    assert (document["files"], document["left_out"]) == (4, 3)


def test_a_folder_without_texts_is_an_empty_prompt(tmp_path):
    (tmp_path / ".hidden").write_text("x")
    assert "1 hidden" in error_line(tca("run", "-f", tmp_path), 1)


def test_messages_that_are_not_utf8_warn_as_files_do():
    done = tca("chat", "-n", "2", stdin=b"Gr\xf6\xdfe\nHello\n")
    assert done.returncode == 0 and done.stderr.count(b"not UTF-8") == 1
    for arguments in (["-p", b"Gr\xf6\xdfe"], ["-p", "x", "-q", b"Gr\xf6\xdfe"]):
        done = subprocess.run([PROGRAM, "run", *arguments, "-n", "1", "--quiet"], capture_output=True, timeout=60,
                              env=environment(), check=False)
        assert done.returncode == 0 and b"not UTF-8" in done.stderr


def test_kv_budget_full():
    done = tca("run", "-p", novel(20000), "--kv-budget", "1M", "--json")
    error_line(done, 1)
    assert json.loads(done.stdout)["error"]["category"] == "out_of_budget"


def test_profile_of_another_model_names_both(profile, tmp_path):
    other = json.loads(profile.read_text())
    other["model"]["weights_sha256"] = "0" * 64
    path = tmp_path / "other.json"
    path.write_text(json.dumps(other))
    line = error_line(tca("run", "-p", "x", "--profile", path), 1)
    assert "0" * 8 in line


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": "tca-profile/1"}', "\0" * 100])
def test_broken_profiles(content, tmp_path):
    path = tmp_path / "broken.json"
    path.write_text(content)
    assert str(path) in error_line(tca("run", "-p", "x", "--profile", path), 1)


def test_a_model_without_a_chat_form_says_what_to_give(tmp_path):
    model = model_copy(tmp_path / "model")
    config = json.loads((model / "tokenizer_config.json").read_text())
    form = config.pop("chat_template")
    replace(model, "tokenizer_config.json", json.dumps(config))
    assert "--chat-template FILE" in error_line(tca("run", "-m", model, "-p", "x", "-q", "y"), 1)
    (tmp_path / "form.jinja").write_text(form)
    given = tca("run", "-m", model, "-p", "x", "-q", "y", "--chat-template", tmp_path / "form.jinja", "-n", "2", "--quiet")
    assert given.returncode == 0 and given.stdout == tca("run", "-p", "x", "-q", "y", "-n", "2", "--quiet").stdout
    assert tca("run", "-m", model, "-p", "x", "-n", "2", "--quiet").returncode == 0


def test_a_form_of_another_tokenizer_is_refused_by_its_marker(tmp_path):
    (tmp_path / "llama3.jinja").write_text("{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
                                           "{{ m.content }}<|eot_id|>{% endfor %}")
    line = error_line(tca("run", "-p", "x", "-q", "y", "--chat-template", tmp_path / "llama3.jinja"), 1)
    assert "llama3.jinja" in line and "<|start_header_id|>" in line


@pytest.mark.parametrize("arguments, note", [
    (["eval", "--documents", "1", "--questions", "1", "--methods", "full"], "--ctx is 1,340 instead of 32,768"),
    (["bench", "--attention", "full", "--decode", "10"], "--ctx is 1,490 instead of 8,192"),
    (["demo", "--questions", "1"], "--ctx is 1,340 instead of 32,768"),
    (["calibrate", "-t", "michael-armstrong.txt", "-o", "OUTPUT", "--no-facts", "--sequences", "1", "--budgets", "0.2",
      "--objective", "tail-risk"],
     "--tokens is 1,500 instead of 16,384")], ids=lambda value: value[0] if isinstance(value, list) else "")
def test_default_lengths_end_where_the_model_does(arguments, note, short_model, tmp_path):
    arguments = [tmp_path / "p.json" if argument == "OUTPUT" else argument for argument in arguments]
    done = tca(*arguments, "-m", short_model)
    assert done.returncode == 0, done.stderr
    assert done.stderr.decode().startswith(f"tca: note: {note}: the model goes up to 1,500 tokens")
    assert done.stderr.count(b"tca: note: ") == 1


def test_lengths_that_leave_no_room_are_cut_with_a_line(short_model):
    done = tca("eval", "-m", short_model, "--ctx", "1500", "--documents", "1", "--questions", "1", "--methods", "full")
    assert done.returncode == 0 and b"--ctx is 1,340 instead of 1,500" in done.stderr


def test_keep_without_a_profile_says_how_to_make_one(tmp_path):
    model = model_copy(tmp_path / "model")
    (model / "profile.json").unlink(missing_ok=True)
    for arguments in (["--keep", "0.2"], ["--attention", "tca"], ["--tolerance", "0.1"]):
        assert "tca calibrate" in error_line(tca("run", "-m", model, "-p", "x", *arguments), 1)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors.index.json"])
def test_broken_model_files_are_named(name, tmp_path):
    model = model_copy(tmp_path / "model")
    replace(model, name, '{"broken": ')
    assert name in error_line(tca("run", "-m", model, "-p", "x"), 1)


def test_models_are_found_by_the_environment(tmp_path):
    model_copy(tmp_path / "by-another-name")
    env = environment(TCA_MODELS=str(tmp_path))
    assert tca_json("run", "-m", "by-another-name", "-p", "x", "-n", "1", env=env)["model"]["name"] == "by-another-name"


def test_no_compiled_in_paths(tmp_path):
    """An installed program finds its model beside itself, a lone one says where it looked."""
    (tmp_path / "bin").mkdir()
    program = shutil.copy(PROGRAM, tmp_path / "bin" / "tca")
    done = subprocess.run([program, "run", "-p", "x"], capture_output=True, timeout=60, env=environment(), check=False)
    assert str(tmp_path / "share" / "tca" / "models") in error_line(done, 1)
    (tmp_path / "share" / "tca" / "models").mkdir(parents=True)
    (tmp_path / "share" / "tca" / "models" / "lookback-28m").symlink_to(MODEL)
    done = subprocess.run([program, "run", "-p", "x", "-n", "1"], capture_output=True, timeout=60, env=environment(),
                          check=False)
    assert done.returncode == 0


def limit_file_size(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_disk_full_while_saving_keeps_the_old_file(tmp_path):
    saved = tmp_path / "talk.chat"
    saved.write_text("old")
    done = tca("chat", "--save", saved, "--force", "-n", "4", stdin=b"Hello there\n", preexec_fn=limit_file_size(1 << 14))
    assert done.returncode == 1
    assert str(saved) in done.stderr.decode().splitlines()[-1]
    assert saved.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["talk.chat"]


def test_chat_looks_at_the_file_to_save_before_it_reads(tmp_path):
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear John")
    for path, part in ((letter, "--force"), (tmp_path, "regular file"), (tmp_path / "no" / "talk.chat", "folder"),
                       ("/dev/null", "regular file")):
        # Nothing was read for it: neither the document that is not there nor the model.
        line = error_line(tca("chat", "-m", "/no/such/model", "-d", "/no/such/file", "--save", path), 1)
        assert f"--save {path}" in line and part in line
    assert letter.read_text() == "Dear John"
    refused = tca("chat", "-n", "2", stdin=f"/save {letter}\n".encode())
    assert refused.returncode == 1 and b"no saved conversation" in refused.stderr
    assert letter.read_text() == "Dear John"


def test_chat_saves_over_what_it_saved_and_what_it_is_forced_to(tmp_path):
    saved, empty = tmp_path / "talk.chat", tmp_path / "empty"
    empty.touch()
    for path in (saved, saved, empty):
        assert tca("chat", "-n", "2", "--save", path, stdin=b"Hello\n").returncode == 0
    saved.write_text("no conversation")
    assert tca("chat", "-n", "2", "--save", saved, "--force", stdin=b"Hello\n").returncode == 0
    for path in (saved, empty):
        assert tca("chat", "-n", "1", "--load", path, stdin=b"And you?\n").returncode == 0


def test_a_failure_at_the_end_keeps_the_turns(tmp_path):
    done = tca("chat", "--save", tmp_path / "talk.chat", "-n", "4", "--json", stdin=b"Hello there\n",
               preexec_fn=limit_file_size(1 << 14))
    assert done.returncode == 1
    result = json.loads(done.stdout)
    assert result["turns"][0]["message"] == "Hello there" and result["saved"] is None
    assert result["error"]["category"] == "io" and "talk.chat" in result["error"]["message"]
    assert "talk.chat" in error_line(done, 1)


def test_calibrate_output_of_another_kind(tmp_path):
    (tmp_path / "book.txt").write_text("It was a dark night")
    for path, part in ((tmp_path / "book.txt", "--force"), (tmp_path, "--force")):
        assert part in error_line(tca("calibrate", "-t", "/no/such/text", "-o", path), 1)
    assert "regular file" in error_line(tca("calibrate", "-t", "/no/such/text", "-o", tmp_path, "--force"), 1)


def test_calibrate_replaces_only_when_told(profile):
    before = profile.read_bytes()
    assert "--force" in error_line(tca("calibrate", "-t", "michael-armstrong.txt", "-o", profile), 1)
    assert profile.read_bytes() == before
