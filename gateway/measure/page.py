"""One HTML file for a report: readable offline, in light and dark, on paper and by ear.

Everything a caller gives is escaped; only ``Svg`` made by the charts goes in as markup. The
page has no script, no font and no address outside itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from gateway.measure.svg import VARIABLES_DARK, VARIABLES_LIGHT, Svg

STYLE = f"""
:root{{color-scheme:light dark;{VARIABLES_LIGHT}}}
@media (prefers-color-scheme:dark){{:root{{{VARIABLES_DARK}}}}}
@media print{{:root{{color-scheme:light;{VARIABLES_LIGHT}}}section{{break-inside:avoid}}}}
body{{margin:0 auto;max-width:860px;padding:2rem 1.25rem 4rem;background:var(--paper);
color:var(--ink);font:16px/1.55 system-ui,"Helvetica Neue",Arial,sans-serif}}
h1{{font-size:1.7rem;line-height:1.25;margin:0 0 .3rem}}
h2{{font-size:1.15rem;margin:2.4rem 0 .5rem}}
p{{margin:.5rem 0;max-width:68ch;white-space:pre-line}}
.lead{{color:var(--faint)}}
figure{{margin:1rem 0;overflow-x:auto}}
figure svg{{max-width:100%;height:auto;display:block}}
.scroll{{overflow-x:auto}}
table{{border-collapse:collapse;font-size:.76rem;margin:.8rem 0;
font-variant-numeric:tabular-nums}}
caption{{text-align:left;color:var(--faint);padding-bottom:.3rem}}
th,td{{padding:.3rem .7rem .3rem 0;text-align:right;border-bottom:1px solid var(--grid);
white-space:nowrap}}
th{{font-weight:600;color:var(--faint)}}
th:first-child,td:first-child{{text-align:left}}
"""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of words; the first column is left-aligned and heads its row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, paragraphs, pictures, tables: shown in this order, each may be empty."""

    heading: str
    paragraphs: Sequence[str] = ()
    figures: Sequence[Svg] = ()
    tables: Sequence[Table] = ()


def page(title: str, sections: Sequence[Section], *, lead: str = "", lang: str = "en") -> str:
    """The whole file as a string, UTF-8 when written."""
    head = (
        f'<!doctype html>\n<html lang="{escape(lang)}"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width,initial-scale=1"/>'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
    )
    intro = f'<p class="lead">{escape(lead)}</p>' if lead else ""
    inside = "".join(_section(s) for s in sections)
    return f"{head}<body><main><h1>{escape(title)}</h1>{intro}{inside}</main></body></html>\n"


def _section(section: Section) -> str:
    paragraphs = "".join(f"<p>{escape(p)}</p>" for p in section.paragraphs)
    figures = "".join(f"<figure>{f}</figure>" for f in section.figures)
    tables = "".join(_table(t) for t in section.tables)
    heading = f"<h2>{escape(section.heading)}</h2>" if section.heading else ""
    return f"<section>{heading}{paragraphs}{figures}{tables}</section>"


def _table(table: Table) -> str:
    caption = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in table.columns)
    body = "".join(f"<tr>{_row(row)}</tr>" for row in table.rows)
    return (
        f'<div class="scroll"><table>{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(row: Sequence[str]) -> str:
    if not row:
        return ""
    first, *others = row
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in others)
    return f'<th scope="row">{escape(first)}</th>{cells}'
