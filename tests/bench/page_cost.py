"""What each page of the chat costs decode, beside nothing opened. `uv run python -m tests.bench.page_cost`.

In each round every page once, in an order that turns from round to round; the second row is the first one again and
shows how much two runs of the same differ. Nothing else may run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from app.tui.panels.pages import PAGES
from app.tui.panels.registry import PANELS
from tests.bench.chat_run import Cost, reply_in_the_chat

_F3, _F7, _RIGHT, _TAB, _T = b"\x1b[13~", b"\x1b[18~", b"\x1b[C", b"\t", b"t"
_NOTHING = "nothing opened"


class Page(NamedTuple):
    """What is opened, and how."""

    steps: Sequence[tuple[bytes, str]] = ()
    """As in `reply_in_the_chat`."""
    settings: str = ""
    remembered: str = ""


def _pages() -> dict[str, Page]:
    """Returns every page by its name; that with nothing opened is the first."""
    chosen = ",".join(f"{panel.name}=shown" for panel in PANELS if panel.extra)
    remembered = json.dumps({"choices": {"panel_choice": {"value": chosen, "over": ""}}})
    inspector = (_F3, "Inspector")
    pages = {
        _NOTHING: Page(),
        f"{_NOTHING}, again": Page(),
        "panels hidden": Page(settings="show_panels = false"),
        "more panels in the column": Page(remembered=remembered),
        "inspector": Page((inspector,)),
        "inspector, tinted": Page((inspector, (_T, "probability"))),
        "inspector, sampler": Page((inspector, (_TAB, "▸Sampler"))),
    }
    steps: list[tuple[bytes, str]] = []
    for title in PAGES.values():
        steps.append((_RIGHT if steps else _F7, f"▸{title}"))
        pages[f"F7 {title.lower()}"] = Page(tuple(steps))
    return pages


def main() -> None:
    """Prints a row a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=320)
    parser.add_argument("--only", default="", help="pages whose names contain this, beside the first two")
    options = parser.parse_args()
    pages = {name: page for name, page in _pages().items() if name.startswith(_NOTHING) or options.only in name}
    rounds: list[dict[str, Cost]] = []
    for turn in range(options.rounds):
        names = [*pages][turn % len(pages) :] + [*pages][: turn % len(pages)]
        rounds.append({name: reply_in_the_chat(options.tokens, **pages[name]._asdict()) for name in names})
    print(f"{'':26}  tok/s  ratio  (least to most)  CPU s/1,000 tokens  share of {os.cpu_count()} cores")
    for name in pages:
        _print_row(name, rounds)


def _print_row(name: str, rounds: Sequence[dict[str, Cost]]) -> None:
    costs = [each[name] for each in rounds]
    ratios = sorted(each[name].tps / each[_NOTHING].tps for each in rounds)
    each_1000 = median(cost.cpu_s / cost.n_tokens * 1000 for cost in costs)
    share = median(cost.cpu_s / cost.wall_s / (os.cpu_count() or 1) for cost in costs)
    extremes = f"{ratios[0]:.3f} to {ratios[-1]:.3f}"
    print(
        f"{name:26}  {median(cost.tps for cost in costs):5.1f}  {median(ratios):.3f}  {extremes:>15}"
        f"  {each_1000:18.2f}  {share:17.1%}"
    )


if __name__ == "__main__":
    main()
