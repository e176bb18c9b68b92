"""What a soak asks, and that what it says follows from what it read."""

from trilemma.tests.soak import prompts, verdict


def told(rise=0, left=0, rounds=6):
    """Lines of two examples of different height; `rise`: bytes by which memory is higher after each prompt."""
    found = []
    for place in range(2 * rounds):
        name, height = (("low", 1000), ("high", 3000))[place % 2]
        server = {"place": place, "process": [1, 2.0]}
        found.append(
            {**server, "example": name, "outcome": "done", "seconds": 1.0, "rss": 100_000 + height + rise * place}
        )
        if place % 4 == 3:
            more = left if place > 3 else 0
            state = {"rss": 90_000 + rise * place, "threads": 9 + more, "handles": 4, "files": ["a"] * (1 + more)}
            state |= {"loaded": more, "patchers": more, "objects": 5, "kinds": {"builtins.dict": 5 + more * 10}}
            found.append({**server, "freed": True, **state, "allocated": 50_000 + rise * place})
    return found


def test_every_example_takes_its_turns_with_seeds_of_its_own():
    names = prompts.order(500)
    assert sorted(names[: len(prompts.NAMES)]) == sorted(prompts.NAMES)
    assert min(names.count(name) for name in prompts.NAMES) >= 3
    for name in prompts.NAMES:
        assert prompts.moved(name, 1) != prompts.moved(name, 2)


def test_what_grows_or_is_left_is_told(capsys):
    assert verdict.growth(verdict.warmed_up(told())).share == 0
    # Rounds 2 to 5, in thirds of 2: the medians lie 2 rounds, so 4 prompts, apart.
    grown = verdict.growth(verdict.warmed_up(told(rise=500)))
    assert grown.late - grown.early == 2000 and grown.examples == 2
    assert verdict.growth(verdict.warmed_up(told(rounds=2))) is None
    assert verdict.report(told()) == 0
    assert verdict.report(told(left=1)) == 1
    said = capsys.readouterr().out
    assert "1 patchers" in said and "threads: 9, then 10" in said and "open: a" in said and "builtins.dict +10" in said
    assert verdict.report(told(rise=1000)) == 1
    assert capsys.readouterr().out.count("finding: ") == 3
