"""`headless.py benchmark` by servers: the state, the scores and the report are those of the graph alone."""

import builtins
import threading
import time

import pytest
from trilemma import host
from trilemma.models.errors import BadInput
from trilemma.nodes.common.benchmark_graph import part_graph, values_of
from trilemma.tests.headless.alone import COUNT, GRAPH, assert_as_alone
from trilemma.tests.headless.comfyui_api import NODES, Server

pytestmark = pytest.mark.slow


@pytest.fixture
def servers():
    begun = []

    def begin(**ways):
        begun.append(Server(**ways))
        return begun[-1]

    yield begin
    for server in begun:
        server.close()


def test_a_graph_is_drawn_by_the_servers_that_are_named(command, servers, tmp_path):
    first, second = servers(), servers()

    code, result, err = command("benchmark", "--count", COUNT, "--servers", f"{first.url},{second.url}/")

    assert code == 0
    drawn = result["drawn"]["4"]
    assert (drawn["title"], drawn["samples"], drawn["lost"]) == ("Benchmark", COUNT, 0)
    assert drawn["shards"] == len(first.queue) + len(second.queue)
    assert first.queue and second.queue
    assert "FD (starter emoji classifier)" in result["outputs"]["5"]["text"][0]
    assert f"2 servers: {first.url}, {second.url}/" in err
    assert_as_alone(tmp_path, command)


def test_a_server_that_dies_loses_nothing(command, servers, tmp_path):
    first, second = servers(dies_in=2), servers()

    code, result, err = command("benchmark", "--count", COUNT, "--servers", f"{first.url},{second.url}")

    assert code == 0
    assert result["drawn"]["4"]["lost"] >= 1
    assert f"{first.url} does not answer" in err
    assert_as_alone(tmp_path, command)


@pytest.mark.parametrize(
    ("ways", "said"),
    [
        ({"refuses": True}, "refused: Cannot execute: no TrilemmaBenchmarkPart"),
        ({"fails": True}, "failed: it has no memory left"),
        ({"forgets": True}, "was started anew, or emptied its queue"),
        ({"dies_in": 1}, "does not answer"),
    ],
)
def test_without_a_server_that_can_it_says_why(command, servers, monkeypatch, ways, said):
    monkeypatch.setattr(host.standalone, "_interrupt", threading.Event())
    server = servers(**ways)

    code, result, _ = command("benchmark", "--count", 16, "--servers", server.url)

    assert code == 1
    assert "all were given up" in result["error"]["message"]
    assert said in result["error"]["message"]


def test_servers_of_other_models_are_not_believed(command, servers, monkeypatch):
    server = servers()
    run = server.prompt

    def other(body):
        for node in body["prompt"].values():
            if node["class_type"] == "TrilemmaLoadGenerator":
                node["inputs"]["model"] = "starter emoji stylegan2"
        return run(body)

    server.prompt = other
    code, result, _ = command("benchmark", "--count", 16, "--servers", server.url)

    assert code == 1
    assert "has other models, another reference or another version" in result["error"]["message"]


def test_an_interrupt_takes_back_what_was_queued_and_the_same_call_goes_on(command, servers, tmp_path):
    server = servers()
    run = server.prompt

    def third(body):
        if len(server.queue) == 2:
            server.go.clear()
            threading.Timer(0.3, host.interrupt).start()
        return run(body)

    server.prompt = third
    began = time.monotonic()
    code, result, _ = command("benchmark", "--count", COUNT, "--servers", server.url)

    assert code == 130
    assert "the same call goes on" in result["error"]["message"]
    assert time.monotonic() - began < 60
    assert server.taken_back == server.queue[-1:]
    server.prompt = run
    server.go.set()
    code, result, _ = command("benchmark", "--count", COUNT, "--servers", server.url)
    assert code == 0
    assert 0 < result["drawn"]["4"]["samples"] < COUNT
    assert_as_alone(tmp_path, command)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--servers", "ftp://a"], "'ftp://a' is no address of a server"),
        (["--count", "1", "--servers", "a"], "--count has to be at least 2"),
        (["--cpus", "0", "--ray"], "--cpus 1"),
        (["--set", "#4.num=3", "--servers", "a"], "has no input 'num'"),
    ],
)
def test_calls_that_fit_nothing_are_refused(command, arguments, said):
    code, result, _ = command("benchmark", *arguments)
    assert code == 2
    assert said in result["error"]["message"]


def test_a_graph_without_a_benchmark_is_refused(command):
    code, result, _ = command("benchmark", "--servers", "a", graph={"5": {"class_type": "PreviewAny", "inputs": {}}})
    assert code == 2
    assert "it holds no Benchmark Generator" in result["error"]["message"]


def test_one_of_both_ways_has_to_be_chosen(command):
    with pytest.raises(SystemExit):
        command("benchmark", "--count", 4)


def test_without_ray_it_says_what_to_install(command, monkeypatch):
    real = builtins.__import__

    def without_ray(name, *args, **kwargs):
        if name == "ray":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    code, result, _ = command("benchmark", "--count", 4, "--ray")
    assert code == 1
    assert "pip install ray" in result["error"]["message"]


def test_the_graph_of_a_part_holds_what_it_needs_and_no_more():
    graph = part_graph({**GRAPH, "9": {"class_type": "PreviewAny", "inputs": {"source": ["4", 0]}}}, "4", 8, 16, 24)
    assert set(graph) == {"1", "2", "3", "4"}
    assert graph["4"]["class_type"] == "TrilemmaBenchmarkPart"
    shared = {name: GRAPH["4"]["inputs"][name] for name in ("generator", "extractor", "reference", "first_seed")}
    places = {"first_image": 16, "num_images": 24, "batch_size": 8, "kept_rows": 40}
    assert graph["4"]["inputs"] == {**shared, **places}


def test_what_reaches_a_node_is_read_with_the_defaults_of_the_rest():
    names = ("num_images", "first_seed", "rows_seed", "protocol")
    found = values_of(GRAPH, "4", names, NODES)
    assert found == {"num_images": 4, "first_seed": 7, "rows_seed": 0, "protocol": "none"}


def test_an_address_may_have_a_path_and_no_question():
    from trilemma.host.servers import Server as Client

    def unused(first, count):
        raise AssertionError

    assert Client("10.0.0.5:8188/", unused, unused).name == "http://10.0.0.5:8188"
    assert Client("https://user:word@farm.example/comfy/", unused, unused).name == "https://farm.example/comfy"
    for url in ("http://", "http://a?b=c", "file:///etc"):
        with pytest.raises(BadInput, match="no address of a server"):
            Client(url, unused, unused)
