"""The command line tells an error in one line and by its exit code."""

import io
from pathlib import Path
from uuid import UUID

import pytest
from rich.console import Console

from winnow.cli import run
from winnow.commands.options import parse_settings
from winnow.commands.score import parse_dataset
from winnow.commands.select import choose_rule
from winnow.errors import ApiError, InputError, PortInUseError, Problem
from winnow.exit_codes import ExitCode, exit_code_of
from winnow.report_table import advice, console_table, markdown_table, table_rows
from winnow.resources import Suggested, Threshold, TopCount, TopFraction


def test_missing_input_is_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "missing.zip")
    data = tmp_path / "data"
    arguments = ["curate", missing, missing, "-o", str(tmp_path / "out"), "--data", str(data)]
    assert run(arguments) == ExitCode.REFUSED
    assert capsys.readouterr().err == f"error: {missing} does not exist.\n"
    assert not data.exists()


def test_absent_server_is_told_by_its_own_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs", "list", "--server", "http://127.0.0.1:1"]) == ExitCode.UNREACHABLE
    assert capsys.readouterr().err.startswith("error: No Winnow service answers at http://127")


def test_wrong_usage_exits_with_two() -> None:
    assert run(["curate"]) == ExitCode.USAGE
    assert run(["nonsense"]) == ExitCode.USAGE


def test_help_names_every_command_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == ExitCode.OK
    said = capsys.readouterr().out
    for word in (
        "up",
        "curate",
        "datasets",
        "jobs",
        "select",
        "selectors",
        "score",
        "download",
        "Exit codes",
    ):
        assert word in said


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, ExitCode.UNREACHABLE), (422, ExitCode.REFUSED), (500, ExitCode.UNEXPECTED)],
)
def test_refusals_differ_from_faults(status: int, code: ExitCode) -> None:
    error = ApiError(Problem(status=status, reason="REASON", detail="Detail."))
    assert exit_code_of(error) is code


def test_stack_errors_have_their_own_code() -> None:
    assert exit_code_of(PortInUseError("taken")) is ExitCode.STACK
    assert exit_code_of(RuntimeError("odd")) is ExitCode.UNEXPECTED


def test_settings_are_json_or_words() -> None:
    assert parse_settings(["steps=400", "momentum=0.5", "encoder=auto", "evaluate=false"]) == {
        "steps": 400,
        "momentum": 0.5,
        "encoder": "auto",
        "evaluate": False,
    }
    with pytest.raises(InputError, match="KEY=VALUE"):
        parse_settings(["steps"])


def test_dataset_to_score_is_a_path_or_an_id(tmp_path: Path) -> None:
    identifier = UUID("0190f000-0000-7000-8000-000000000000")
    assert parse_dataset(str(tmp_path)) == tmp_path
    assert parse_dataset(str(identifier)) == identifier
    with pytest.raises(InputError, match="no dataset's id"):
        parse_dataset(str(tmp_path / "missing.zip"))


def test_options_of_select_name_one_rule() -> None:
    def rule(**options: float) -> object:
        asked = {"keep": None, "count": None, "threshold": None, "is_balanced": False} | options
        return choose_rule(**asked)  # type: ignore[arg-type] # A table of mixed options.

    assert rule() == Suggested()
    assert rule(keep=0.5, is_balanced=True) == TopFraction(fraction=0.5, balanced=True)
    assert rule(count=3) == TopCount(count=3)
    assert rule(threshold=0.2) == Threshold(threshold=0.2)
    for wrong in ({"keep": 0.5, "count": 3}, {"is_balanced": True}):
        with pytest.raises(InputError):
            rule(**wrong)


def row_of(method: str, **more: object) -> dict[str, object]:
    interval = {"accuracy_mean": 1.0, "accuracy_ci95": [1.0, 1.0]}
    return {"method": method, **interval, "kept": 20_000, **more}


def test_table_has_a_row_for_each_method_and_a_dash_for_what_is_missing() -> None:
    report = {
        "rows": [
            {
                "method": "random",
                "accuracy_mean": 0.8125,
                "accuracy_ci95": [0.8, 0.8251],
                "kept": 1500,
            },
            {"method": "no_selection", "accuracy_mean": None, "accuracy_ci95": None, "kept": None},
        ]
    }
    assert markdown_table(table_rows(report)).splitlines()[2:] == [
        "| random | 81.2 % | 80.0 % to 82.5 % | 1500 |",
        "| no_selection | - | - | - |",
    ]


def test_table_shows_the_reference_weight_where_a_row_has_one_and_fits_into_80_columns() -> None:
    rows = [
        row_of("meta_weight_net_weighted", reference_weight=1.0),
        row_of("no_selection_upweighted", reference_weight=30.0),
        row_of("winnow_weighted", reference_weight=5000.01),
    ]
    shown = io.StringIO()
    table = table_rows({"rows": rows})
    Console(width=80, file=shown).print(console_table(table, recommended=None))
    lines = [line.split() for line in shown.getvalue().splitlines() if "100.0 %" in line]
    assert [line[-2:] for line in lines] == [["×", "1"], ["×", "30"], ["×", "5000"]]
    assert markdown_table(table).splitlines()[-1].endswith("| 20000 | × 5000 |")

    plain = table_rows({"rows": [rows[0], row_of("made_before_there_were_any")]})
    assert "×" not in markdown_table(plain)
    assert "reference" not in markdown_table(plain)


def test_line_below_the_table_says_how_much_reference_samples_count_where_it_is_not_once() -> None:
    assert advice({"reference_weight": 1.0}) == []
    # That of a job of a selector.
    assert advice({"rows": []}) == []
    [line] = advice({"reference_weight": 10.0})
    assert line == (
        "Count each reference sample 10 times as much as the mean pool sample when you train with "
        "these weights."
    )


def test_line_below_the_table_says_where_two_classes_have_changed_names() -> None:
    assert advice({"label_support": {"labels_are_turned": False}}) == []
    [line] = advice({"label_support": {"labels_are_turned": True}})
    assert line.startswith("Of the two classes, most labels of the pool seem to name the other one")
