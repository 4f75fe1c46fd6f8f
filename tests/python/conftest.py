import json

import pytest

from cli_program import model_copy, replace, tca


@pytest.fixture(scope="session")
def profile(tmp_path_factory):
    """A small profile of the default model, calibrated by the program itself."""
    path = tmp_path_factory.mktemp("profile") / "profile.json"
    done = tca("calibrate", "-t", "michael-armstrong.txt", "-o", path, "--tokens", "2048", "--sequences", "1",
               "--budgets", "0.1,0.2,0.4", "--objective", "tail-risk,paper")
    assert done.returncode == 0, done.stderr.decode()
    return path


@pytest.fixture(scope="session")
def short_model(tmp_path_factory):
    """The model, said to go up to 1,500 tokens."""
    model = model_copy(tmp_path_factory.mktemp("models") / "short")
    config = json.loads((model / "config.json").read_text())
    config["max_position_embeddings"] = 1500
    replace(model, "config.json", json.dumps(config))
    return model
