"""What --model takes: folders, what the Hub's cache holds under a name, and clear words for everything that is no model."""
import shutil

import pytest

from cli_program import MODEL, environment, error_line, tca, tca_json

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9085657\n"


@pytest.fixture
def model(tmp_path):
    """A copy of the default model that the test may damage."""
    return shutil.copytree(MODEL, tmp_path / "model", ignore=shutil.ignore_patterns("training"))


@pytest.fixture
def cache(tmp_path):
    """A Hugging Face cache that has the default model as org/tiny."""
    snapshot = tmp_path / "hub/models--org--tiny/snapshots/0123abcd"
    shutil.copytree(MODEL, snapshot, ignore=shutil.ignore_patterns("training"))
    (tmp_path / "hub/models--org--tiny/refs").mkdir()
    (tmp_path / "hub/models--org--tiny/refs/main").write_text("0123abcd")
    return tmp_path / "hub"


def refusal(*arguments, env=None):
    return error_line(tca("run", "-p", "x", "-n", "1", "--model", *arguments, env=env), 1)


def test_names_of_the_hub_are_found_in_its_cache(cache):
    for env in (environment(HF_HUB_CACHE=str(cache)), environment(HF_HOME=str(cache.parent))):
        result = tca_json("run", "-p", "Once", "-n", "2", "--model", "org/tiny", env=env)
        assert result["model"]["name"] == "org/tiny"
        message = refusal("org/other", env=env)
        assert f"nothing is downloaded: what `hf download org/other` fetches would lie in {cache}" in message
    assert "give a snapshot: " + str(cache / "models--org--tiny/snapshots/0123abcd") in refusal(
        cache / "models--org--tiny")


def test_a_broken_generation_config_is_a_warning(model):
    (model / "generation_config.json").write_text("{")
    for command in (["run", "-p", "Once", "-n", "1", "--model", model], ["inspect", model]):
        done = tca(*command)
        assert done.returncode == 0
        warnings = [line for line in done.stderr.decode().splitlines() if "warning" in line]
        assert len(warnings) == 1 and warnings[0].startswith("tca: warning: ")
        assert "generation_config.json: not valid JSON" in warnings[0]


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "profile.json", "model.safetensors.index.json",
                                  "model-00002-of-00004.safetensors"])
def test_files_that_are_something_else_are_named(model, name):
    path = model / name
    path.write_text(LFS)
    assert f"{name}: is a Git LFS pointer, not the file that it stands for; run `git lfs pull`" in refusal(model)
    path.write_text("<!DOCTYPE html><html>Not found</html>")
    assert f"{name}: is a web page (HTML), not the file" in refusal(model)
    path.unlink()
    path.symlink_to("../../blobs/4d7a")
    assert "this file's download into the Hugging Face cache did not end" in refusal(model)


def test_what_is_no_checkpoint_is_named(model, tmp_path):
    gguf = tmp_path / "tiny.gguf"
    gguf.write_bytes(b"GGUF\3" + bytes(1024))
    assert "tiny.gguf: general.architecture is missing from the metadata" in refusal(gguf)
    assert "tiny.gguf: general.architecture is missing" in error_line(tca("inspect", gguf), 1)
    gguf.write_bytes(b"GGUF\3")
    assert "tiny.gguf: the version at byte 4 takes 4 bytes, but the file has only 1 after it" in refusal(gguf)
    gguf.unlink()
    for file in model.glob("model*.safetensors*"):
        file.unlink()
    (model / "pytorch_model.bin").write_text("x")
    assert "its weights are PyTorch's (pytorch_model.bin); save them as safetensors" in refusal(model)
    (model / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base"}')
    assert "it is a LoRA adapter" in refusal(model) and "merge it into its base model, org/base," in refusal(model)
    assert "holds no config.json: folders in it are models: " in refusal(tmp_path)
