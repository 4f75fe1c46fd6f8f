import pytest

from cli_program import tca


@pytest.fixture(scope="session")
def profile(tmp_path_factory):
    """A small profile of the default model, calibrated by the program itself."""
    path = tmp_path_factory.mktemp("profile") / "profile.json"
    done = tca("calibrate", "-t", "michael-armstrong.txt", "-o", path, "--tokens", "2048", "--sequences", "1",
               "--budgets", "0.1,0.2,0.4", "--objective", "tail-risk,paper")
    assert done.returncode == 0, done.stderr.decode()
    return path
