"""`headless.py benchmark --ray` on this machine: as the graph alone, by any number of workers, killed at random."""

import contextlib
import random
import threading
import time

import psutil
import pytest
from trilemma import host
from trilemma.models.scoring.benchmark import crew
from trilemma.tests.headless.alone import COUNT, assert_as_alone

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = pytest.mark.slow


def workers_here():
    """Processes of workers; Ray writes their class where others have their command."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            found += [process] if "Process" in " ".join(process.cmdline()[:1]) else []
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_a_graph_is_drawn_by_ray(command, tmp_path, workers):
    code, result, err = command("benchmark", "--count", COUNT, "--ray", "--workers", workers, "--gpus", 0)

    assert code == 0
    assert f"{workers} workers of Ray, each with 1 core and no GPU" in err
    assert result["drawn"]["4"]["samples"] == COUNT
    assert_as_alone(tmp_path, command)


def test_processes_of_ray_that_are_killed_at_random_lose_nothing(command, tmp_path, monkeypatch):
    """Twenty times, while they load or draw."""
    monkeypatch.setattr(crew, "LIVES", 100)
    chance, killed, over = random.Random(0), [], threading.Event()

    def kill():
        while len(killed) < 20 and not over.wait(chance.uniform(0.5, 3)):
            here = workers_here()
            if here:
                victim = chance.choice(here)
                victim.kill()
                killed.append(victim.pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        code, result, _ = command("benchmark", "--count", COUNT, "--ray", "--workers", 2, "--gpus", 0)
    finally:
        over.set()
        killer.join()
    assert code == 0
    assert result["drawn"]["4"]["lost"] > 0
    assert_as_alone(tmp_path, command)
    print(f"killed {len(killed)} processes, {result['drawn']['4']['lost']} shards were lost and drawn again")


def test_ray_is_stopped_within_a_batch(command, tmp_path):
    stop = threading.Timer(12, host.interrupt)
    stop.start()
    began = time.monotonic()
    code, *_ = command("benchmark", "--count", 100_000, "--ray", "--workers", 1, "--gpus", 0)
    assert code == 130
    assert time.monotonic() - began < 90
    assert not workers_here()


def test_more_workers_than_there_is_room_for_are_refused(command):
    code, result, _ = command("benchmark", "--count", 4, "--ray", "--workers", 1000)
    assert code == 1
    assert "--workers 1000: each takes 1 core" in result["error"]["message"]
