"""What completion by Tab lacks in zsh: an answer to the first Tab of a shell."""

from pathlib import Path

_ANSWER = '[[ $zsh_eval_context[-1] == loadautofunc ]] && _winnow_completion "$@"\n'


def answer_first_tab() -> None:
    """Adds to the script that `--install-completion` has written for zsh, where there is one.

    zsh loads that script on the first Tab. As Typer writes it, it only says then which function
    completes, so nothing would appear before the second Tab.
    """
    script = Path.home() / ".zfunc" / "_winnow"
    if not script.is_file():
        return
    text = script.read_text(encoding="utf-8")
    if _ANSWER not in text:
        script.write_text(f"{text.rstrip()}\n\n{_ANSWER}", encoding="utf-8")
