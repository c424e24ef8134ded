"""What is kept of an analysis, and read back while it holds."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from small_run import SmallRun

from lottery.errors import StoreError, UsageError
from lottery.experiments import ExperimentConfig, open_run
from lottery.inside import ANALYSES, Analysis, Measurement, Subject, Table, analyse
from lottery.inside.analysis import kept_measurement
from lottery.inside.measurement import read_measurement
from lottery.inside.settling import NO_TICKET
from lottery.store import MAIN, JobKey


def _kept(subject: Subject, scale: int = 1) -> Measurement:
    rows = tuple(
        (key.level, subject.mask(key).kept * scale, math.nan) for key in subject.trainings()
    )
    table = Table(
        name="kept", title="Kept", note="", columns=("level", "kept", "nothing"), rows=rows
    )
    return Measurement(analysis="kept", tables=(table,), found=("the weights of two levels",))


KEPT = Analysis(name="kept", sentence="how many weights are kept", measure=_kept)


def _never(subject: Subject, scale: int = 1) -> Measurement:
    raise AssertionError(f"{subject.run.name} is looked at again")


NEVER = Analysis(name="kept", sentence="what must not be computed", measure=_never)


def test_what_was_found_is_read_back_until_it_is_asked_for_something_else(
    small_run: SmallRun, tmp_path: Path
) -> None:
    run = open_run(small_run.copied(tmp_path))
    found = analyse(run, KEPT)
    assert found["kept"].column("level") == [0, 1]
    assert {str(key) for key in run.results} < {*found.made_from}, "and what was kept on the way"
    assert found.made_from["replicate 0, main, level 1"] == run.store.contents_hash(
        JobKey(0, MAIN, 1)
    )
    kept = analyse(run, NEVER)
    assert kept["kept"].column("kept") == found["kept"].column("kept")
    assert kept["kept"].column("nothing") == [None, None], "JSON has no word for what is no number"
    with pytest.raises(AssertionError, match="looked at again"):
        analyse(run, NEVER, levels=[1])
    with pytest.raises(AssertionError, match="looked at again"):
        analyse(run, NEVER, again=True)
    scaled = analyse(run, KEPT, levels=[1], settings={"scale": 2})
    assert scaled["kept"].column("level") == [1]
    assert scaled.settings == {"levels": [1], "replicates": [0], "scale": 2}


def test_a_narrower_result_is_kept_beside_a_wider_one(small_run: SmallRun, tmp_path: Path) -> None:
    run = open_run(small_run.copied(tmp_path))
    narrow = analyse(run, KEPT, levels=[1])
    whole = analyse(run, KEPT)
    other = analyse(run, KEPT, levels=[0], settings={"scale": 2})
    for kept, how in (
        (narrow, {"levels": [1]}),
        (whole, {}),
        (whole, {"settings": {"scale": 1}}),
        (other, {"levels": [0], "settings": {"scale": 2}}),
    ):
        found = analyse(run, NEVER, **how)
        assert found["kept"].column("kept") == kept["kept"].column("kept")
    drawn = kept_measurement(run, KEPT)
    assert drawn is not None
    assert drawn.settings == whole.settings
    analyse(run, KEPT, settings={"scale": 3})
    drawn = kept_measurement(run, KEPT)
    assert drawn is not None
    assert drawn.settings["scale"] == 3, "of those that cover as much, the newest"
    assert analyse(run, NEVER).settings == whole.settings


def test_the_settings_of_the_verdict_count_where_it_is_used(
    small_run: SmallRun, tmp_path: Path
) -> None:
    run = open_run(small_run.copied(tmp_path))
    strict = replace(
        run, config=replace(run.config, verdict=replace(run.config.verdict, margin=0.1))
    )
    analyse(run, KEPT)
    assert analyse(strict, NEVER)["kept"].rows
    analyse(run, replace(KEPT, judges=True))
    assert analyse(run, replace(NEVER, judges=True))["kept"].rows
    with pytest.raises(AssertionError, match="looked at again"):
        analyse(strict, replace(NEVER, judges=True))


def test_what_was_found_goes_with_the_files_it_was_made_from(
    small_run: SmallRun, tmp_path: Path
) -> None:
    path = small_run.copied(tmp_path)
    analyse(open_run(path), KEPT)
    source = path / "analyses" / "kept.json"
    found = json.loads(source.read_text())
    found["made_from"]["replicate 0, main, level 1"] = "0" * 64
    source.write_text(json.dumps(found))
    with pytest.raises(AssertionError, match="looked at again"):
        analyse(open_run(path), NEVER)


@pytest.mark.parametrize(
    "broken",
    [
        "no JSON",
        "[]",
        "{}",
        '{"analysis": 1}',
        '{"analysis": "kept", "settings": {}, "found": [], "tables": [], "made_from": {}}',
        '{"analysis": "kept", "settings": {"levels": [0], "replicates": [0.5]}, "found": [], '
        '"tables": [], "made_from": {}}',
        '{"analysis": "kept", OF, "found": [1], "tables": [], "made_from": {}}',
        '{"analysis": "kept", OF, "found": [], "tables": [3], "made_from": {}}',
        '{"analysis": "kept", OF, "found": [], "tables": [{"name": "../a", "title": "", '
        '"note": "", "columns": ["a"], "rows": [[1]]}], "made_from": {}}',
        '{"analysis": "kept", OF, "found": [], "tables": [{"name": "a", "title": "", '
        '"note": "", "columns": ["a"], "rows": [[1, 2]]}], "made_from": {}}',
        '{"analysis": "kept", OF, "found": [], "tables": [{"name": "a", "title": "", '
        '"note": "", "columns": ["a"], "rows": [[{}]]}], "made_from": {}}',
        '{"analysis": "kept", OF, "found": [], "tables": [{"name": "a", "title": "", '
        '"note": "", "columns": ["a"], "rows": [[NaN]]}], "made_from": {}}',
        '{"analysis": "kept", OF, "found": [], "tables": [{"name": "a", "title": "", '
        '"note": "", "columns": ["a"], "rows": [[1e308]]}], "made_from": {}}',
    ],
)
def test_what_is_damaged_is_made_again(broken: str, small_run: SmallRun, tmp_path: Path) -> None:
    path = small_run.copied(tmp_path)
    broken = broken.replace("OF", '"settings": {"levels": [0], "replicates": [0]}')
    (path / "analyses").mkdir()
    (path / "analyses" / "kept.json").write_text(broken)
    assert analyse(open_run(path), KEPT)["kept"].rows
    if broken.startswith("{"):
        with pytest.raises(StoreError):
            read_measurement(json.loads(broken), source="here")


def test_levels_and_replicates_that_are_not_there_are_told(small_run: SmallRun) -> None:
    run = open_run(small_run.path)
    with pytest.raises(UsageError, match="level: expected some of 0, 1, got 7"):
        analyse(run, KEPT, levels=[1, 7])
    with pytest.raises(UsageError, match="replicate: expected some of 0, got 3"):
        analyse(run, KEPT, replicates=[3])


@pytest.mark.parametrize("name", ["masks", "weights", "alignment", "cka", "curvature"])
def test_where_nothing_ended_well_this_is_said(name: str, small_run: SmallRun) -> None:
    run = open_run(small_run.path)
    failed = {key: replace(one, status="diverged") for key, one in run.results.items()}
    with pytest.raises(UsageError, match=r"no training of small.* has ended well \(levels 0, 1; "):
        analyse(replace(run, results=failed), ANALYSES[name])


@pytest.mark.parametrize("name", ["masks", "weights"])
def test_dense_networks_alone_say_nothing_of_tickets(
    name: str, small_run: SmallRun, tmp_path: Path
) -> None:
    run = open_run(small_run.copied(tmp_path))
    assert NO_TICKET in analyse(run, ANALYSES[name], levels=[0]).found
    failed = replace(run.results[JobKey(0, MAIN, 1)], status="collapsed")
    without = replace(run, results={**run.results, failed.key: failed})
    assert NO_TICKET in analyse(without, ANALYSES[name], again=True).found


def test_an_analysis_has_the_network_and_its_data(small_run: SmallRun) -> None:
    run = open_run(small_run.path)
    task = Subject(run=run, levels=(0,), replicates=(0,)).experiment.task
    state = run.store.ticket(JobKey(0, MAIN, 0)).weights
    task.make_model().load_state_dict(state)


def test_code_that_a_config_names_does_not_run_unless_it_is_trusted(small_run: SmallRun) -> None:
    run = open_run(small_run.path)
    assert isinstance(run.config, ExperimentConfig)
    named = replace(run, config=replace(run.config, model="somebody.nets:make"))
    subject = Subject(run=named, levels=(0,), replicates=(0,))
    with pytest.raises(UsageError, match=r"names code \(somebody.nets:make\)"):
        _ = subject.experiment


def test_a_run_that_grew_is_looked_at_again(small_run: SmallRun, tmp_path: Path) -> None:
    path = small_run.copied(tmp_path)
    run = open_run(path)
    first = {key: result for key, result in run.results.items() if key.branch == MAIN}
    analyse(replace(run, results=first), KEPT)
    with pytest.raises(AssertionError, match="looked at again"):
        analyse(run, NEVER)


def test_copies_in_another_order_count_where_they_are_looked_at(
    small_run: SmallRun, tmp_path: Path
) -> None:
    path = small_run.copied(tmp_path)
    analyse(open_run(path), KEPT)
    source = path / "analyses" / "kept.json"
    content = json.loads(source.read_text(encoding="utf-8"))
    content["made_from"]["replicate 0, reordered-0, level 1"] = "0" * 64
    del content["record_sha256"]
    source.write_text(json.dumps(content), encoding="utf-8")
    assert analyse(open_run(path), NEVER)["kept"].rows
    with pytest.raises(AssertionError):
        analyse(open_run(path), replace(NEVER, reorders=True))


def test_what_says_that_it_was_made_from_nothing_is_not_believed(
    small_run: SmallRun, tmp_path: Path
) -> None:
    path = small_run.copied(tmp_path)
    analyse(open_run(path), KEPT)
    source = path / "analyses" / "kept.json"
    forged = {**json.loads(source.read_text()), "made_from": {}, "found": ["forged"]}
    source.write_text(json.dumps(forged))
    assert analyse(open_run(path), KEPT).found == ("the weights of two levels",)


def test_no_name_in_a_table_is_a_formula_for_a_spreadsheet() -> None:
    rows = (("=HYPERLINK(1)", -0.5, True), (" +1\x1b", None, False))
    table = Table(name="t", title="", note="", columns=("layer", "share", "@x"), rows=rows)
    assert table.csv().splitlines() == [
        "layer,share,'@x",
        "'=HYPERLINK(1),-0.5,True",
        "' +1\N{REPLACEMENT CHARACTER},,False",
    ]


def test_settings_that_there_are_not_are_refused_and_a_tuple_is_a_list(
    small_run: SmallRun, tmp_path: Path
) -> None:
    run = open_run(small_run.copied(tmp_path))
    with pytest.raises(UsageError, match="kept: unknown setting 'scael'; did you mean 'scale'"):
        analyse(run, KEPT, settings={"scael": 2})
    with pytest.raises(UsageError, match="masks: unknown setting 'x'"):
        run.analyse("masks", settings={"x": 1})

    def _chosen(subject: Subject, at: tuple[int, ...] = ()) -> Measurement:
        return _kept(subject, len(at))

    chosen = replace(KEPT, measure=_chosen)
    first = analyse(run, chosen, settings={"at": (0, 5)})
    assert first.settings["at"] == [0, 5]
    never = replace(chosen, measure=lambda subject, at=(): _never(subject, len(at)))
    again = analyse(run, never, settings={"at": (0, 5)})
    assert again.tables[0].column("kept") == first.tables[0].column("kept")
