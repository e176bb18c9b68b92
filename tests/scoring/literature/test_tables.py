"""Published rows: what was printed, where it is from, and that it never ranks among measured rows unverified."""

import json
import math
from collections import Counter

import pytest
from trilemma.models.errors import BadInput
from trilemma.models.scoring.leaderboard import leaderboard
from trilemma.models.scoring.literature import citations, tables
from trilemma.models.scoring.reports import published_text
from trilemma.models.scoring.reports.leaderboard_text import to_csv, to_json, to_markdown
from trilemma.models.scoring.taken_by import KEY, taken_by
from trilemma.models.scoring.verification.records import KINDS
from trilemma.tests.scoring.boards import model

OWN = {"title": "mine, table 2", "source": "Me 2026", "rows": [{"system": "X", "values": {"fid": 2.5}}]}


def values(key):
    (table,) = (table for table in tables.shipped() if table.key == key)
    return {row.system: row.values for row in table.rows}


def test_the_survey_has_15_fids_and_9_numbers_of_parameters():
    rows = values("survey_t2i")
    assert len(rows) == 15 and all("fid" in row for row in rows.values())
    assert sum("parameters" in row for row in rows.values()) == 9
    assert (rows["Parti"]["fid"], rows["Parti"]["parameters"]) == (7.23, 20e9)
    assert (rows["StackGAN++"]["fid"], rows["DF-GAN"]["parameters"]) == (81.59, 19e6)
    assert {name for name, row in rows.items() if "training_gpu_hours" in row} == {"DALL-E", "Parti"}


def test_the_vae_the_vqgan_and_stable_diffusion():
    rows = values("kataev2025")
    keys = ("fid", "inception_score", "minimal_gpu_memory_gb")
    assert {name: [row[key] for key in keys] for name, row in rows.items()} == {
        "VAE": [59.753, 11.133, 4],
        "VQGAN f16-16384": [38.912, 13.647, 18],
        "Stable Diffusion": [20.8, 12.5, 10],
    }


def test_adm_at_three_resolutions():
    assert [row["fid"] for row in values("dhariwal2021").values()] == [2.97, 4.59, 7.72]


def test_six_systems_by_geneval():
    """The overall score is the mean of the kinds, as far as two decimals tell."""
    rows = values("ghosh2023")
    assert {name: row["prompts_right"] for name, row in rows.items()} == {
        "CLIP retrieval": 0.35,
        "minDALL-E": 0.23,
        "Stable Diffusion v1.5": 0.43,
        "Stable Diffusion v2.1": 0.50,
        "Stable Diffusion XL": 0.55,
        "IF-XL": 0.61,
    }
    for row in rows.values():
        assert [*row] == ["prompts_right", *KINDS]
        assert sum(row[kind] for kind in KINDS) / 6 == pytest.approx(row["prompts_right"], abs=0.011)


def test_41_models_that_people_have_judged():
    found = tables.tables_of("people and metrics")
    assert Counter({table.data_set: len(table.rows) for table in found}) == {
        "CIFAR10": 13, "ImageNet 256 px": 11, "LSUN Bedroom 256 px": 8, "FFHQ 256 px": 9,
    }  # fmt: skip
    for table in found:
        assert table.licence.startswith("MIT")
        assert sorted(table.column("fid_place")) == list(range(1, len(table.rows) + 1))
        assert all(0 < error < 0.5 for error in table.column("human_error_rate"))
        # Printed in ascending realism by FD-DINOv2.
        assert table.column("fd_dinov2") == sorted(table.column("fd_dinov2"), reverse=True)
    assert values("stein2023_cifar10")["PFGM++"] == {"human_error_rate": 0.4358, "fd_dinov2": 141.65, "fid_place": 1}


def test_every_table_has_a_source_that_can_be_cited():
    for table in tables.shipped():
        assert table.bibtex.partition("{")[2].startswith(f"{table.cite},")
        assert table.bibtex.count("{") == table.bibtex.count("}")
        assert not table.verified
        assert "" not in (table.source, table.data_set, table.samples, table.extractor, table.licence)
    for key, entry in citations.ENTRIES.items():
        assert entry.partition("{")[2].startswith(f"{key},")
        assert entry.count("{") == entry.count("}")
    assert citations.entries(["xiao2022", "heusel2017", "heusel2017"]).count("@") == 2


def test_how_well_metrics_agree_with_people():
    """On ImageNet the order by FID is nearly none, and FD-DINOv2's is close: what the paper says."""
    found = {(each.table.data_set, each.metric): each.agreement for each in tables.agreements(tables.tables_of("all"))}
    assert len(found) == 8
    assert found["ImageNet 256 px", "fid_place"].tau == pytest.approx(-1 / 11)
    assert found["ImageNet 256 px", "fd_dinov2"].tau == pytest.approx(7 / 11)
    text = published_text.to_markdown(tables.tables_of("people and metrics"))
    assert "| ImageNet 256 px | FD-DINOv2 | 0.64 |" in text
    assert "| ImageNet 256 px | place by FID | -0.09 |" in text


def test_systems_are_chosen_by_name():
    (one, other) = tables.tables_of("all", "adm, Parti")
    assert [row.system for table in (one, other) for row in table.rows] == ["Parti", "ADM"]
    with pytest.raises(BadInput, match=r"systems: no table has Imagination; known are VAE, VQGAN f16-16384, Stable"):
        tables.tables_of("VAE, VQGAN and Stable Diffusion", "VAE, Imagination")
    with pytest.raises(BadInput, match="tables: there is no 'some'; choose one of all, text-to-image survey"):
        tables.tables_of("some")


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("{", "own_rows: no JSON"),
        ("[3]", "own_rows: expected a table with title, source and rows, found int"),
        (json.dumps({**OWN, "source": ""}), "own_rows: the table 'mine, table 2' lacks source"),
        (json.dumps({**OWN, "rows": [{"system": "X"}]}), "mine, table 2: a row lacks its system or its values"),
        (json.dumps({**OWN, "rows": [{"system": "X", "values": {"beauty": 1}}]}), "X has 'beauty', which is none of"),
        (json.dumps({**OWN, "rows": [{"system": "X", "values": {"fid": "2"}}]}), "fid of X is '2'; give a finite"),
        (json.dumps({**OWN, "rows": [{"system": "X", "values": {"fid": math.inf}}]}), "fid of X is inf"),
        (json.dumps({**OWN, "rows": [{"system": "X", "values": {"fid": True}}]}), "fid of X is True"),
        (json.dumps({**OWN, "rows": 5}), "rows is 5; give a list of systems"),
        (json.dumps({**OWN, "verified": False}), "verified is false; give a text"),
        (json.dumps({**OWN, "taken_by": "us"}), "taken_by is 'us'; give an object"),
        (json.dumps({**OWN, "rows": [{"system": "x", "values": {"fid": 10**400}}]}), "fid of x is 1000"),
    ],
)
def test_own_rows_say_what_is_wrong_with_them(own, message):
    with pytest.raises(BadInput, match=message):
        tables.tables_of("all", own=own)


def test_own_rows_stand_beside_the_shipped_ones():
    found = tables.tables_of("ADM", own=json.dumps([OWN]))
    assert [table.title for table in found][1] == "mine, table 2"
    assert (found[1].samples, found[1].rows[0].values) == ("not stated", {"fid": 2.5})


def test_published_rows_stand_below_and_are_not_ranked():
    published = tables.tables_of("VAE, VQGAN and Stable Diffusion")
    board = leaderboard([model("a", 30.0)], published=published)
    assert [row.name for row in board.groups[0].rows] == ["a"]
    text = to_markdown(board)
    assert text.index("| 1 | a |") < text.index("| Stable Diffusion | diffusion | 20.8 | 12.5 | 10 |")
    assert "compare within one table, and with no measured row" in text
    last = to_csv(board).splitlines()[-1]
    assert last.startswith(",Stable Diffusion,") and "as published, not measured: Kataev" in last
    told = json.loads(to_json(board))["published"]
    assert told["tables"][0]["rows"][0]["values"]["fid"] == 59.753
    assert told["agreement_with_people"] == []


def own_table(way, verified):
    return tables.read_own(json.dumps({**OWN, KEY: way, "verified": verified}))


def test_a_row_of_the_same_verified_protocol_is_ranked():
    measured = model("a", 5.0)
    way = taken_by(measured.provenance)
    measured = measured.__class__("a", measured.scores, measured.cost, {**measured.provenance, KEY: way})
    board = leaderboard([measured], published=own_table(way, "by running their code on our reference"))
    assert [(row.rank, row.name) for row in board.groups[0].rows] == [(1, "X (published)"), (2, "a")]
    assert board.published == ()
    for other in (own_table(way, ""), own_table({**way, "resize": "clean"}, "by hand"), own_table({}, "by hand")):
        board = leaderboard([measured], published=other)
        assert [row.name for row in board.groups[0].rows] == ["a"]
        assert board.published == tuple(other)


def test_the_literature_can_stand_alone():
    board = leaderboard([], published=tables.tables_of("people and metrics"))
    assert board.groups == ()
    assert "**How well each metric agrees with people**" in to_markdown(board)
    with pytest.raises(BadInput, match="scores_1: nothing is connected"):
        leaderboard([])


def test_what_is_null_is_not_stated():
    (table,) = tables.read_own(json.dumps({**OWN, "data_set": None, "licence": None, "verified": None}))
    assert (table.data_set, table.licence, table.verified) == ("not stated", "", "")


def test_the_setting_of_a_leaderboards_group_says_how_rows_were_taken():
    """It names the reference too, which does not decide."""
    way = {"of": "features", "extractor": "Inception-v3 (FID)", "identity": "eeeeeeee", "resize": "TF1"}
    plain = model("a", 5.0)
    measured = plain.__class__("a", plain.scores, plain.cost, {**plain.provenance, KEY: way})
    setting = json.loads(to_json(leaderboard([measured])))["groups"][0]["setting"]
    assert setting.keys() - way.keys() == {"reference"}
    (group,) = leaderboard([measured], published=own_table(setting, "by hand")).groups
    assert [row.name for row in group.rows] == ["X (published)", "a"]
