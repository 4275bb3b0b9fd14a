"""Under each plot its numbers: a folded table, and all of them as a CSV file beside the pages.

A picture, a map of colours and a sketch without a scale have no numbers to read, and no table.
"""

import sys
from html import escape
from pathlib import Path

from docutils import nodes

sys.path.append(str(Path(__file__).parents[2] / "_tools"))

from figure_tables import as_csv, csv_name, of_notebook, tables
from notebooks import read

FOLDER = "numbers"


def table_html(table, name):
    """One panel's table; where it is wider than the page, it scrolls in its own box."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.header)
    body = ""
    for first, *cells in table.rows:
        row = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        body += f'<tr><th scope="row">{escape(first)}</th>{row}</tr>'
    label = escape(f"{name}: {table.title}" if table.title else name, quote=True)
    caption = f"<caption>{escape(table.title)}</caption>" if table.title else ""
    note = f"<p>{escape(table.left_out)}</p>" if table.left_out else ""
    return (
        f'<div class="pst-scrollable-table-container" tabindex="0" role="region" '
        f'aria-label="{label}"><table class="table">{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{note}"
    )


def folded(numbers, number, address):
    """The fold under a figure; `address` is where the page finds the CSV file."""
    name = f"Figure {number}" if number else "The figure"
    parts = "".join(table_html(table, name) for table in tables(numbers))
    file = escape(address, quote=True)
    link = f'<a href="{file}" download>{escape(name)} as CSV</a>'
    return (
        f'<details class="figure-numbers"><summary>{escape(name)} as a table</summary>'
        f"{parts}<p>{link}</p></details>"
    )


def put_tables(app, doctree):
    page = app.env.docname
    path = Path(app.env.doc2path(page))
    if path.suffix != ".ipynb" or app.builder.name != "html":
        return
    cells = {
        cell["cell_index"]: cell
        for cell in doctree.findall(nodes.container)
        if cell.get("nb_element") == "cell_code"
    }
    up = "../" * page.count("/")
    for place, number, numbers in of_notebook(read(path)):
        address = f"{up}{FOLDER}/{csv_name(page, place, number)}"
        fold = nodes.raw("", folded(numbers, number, address), format="html")
        under = caption_after(cells[place]) or cells[place]
        under.parent.insert(under.parent.index(under) + 1, fold)


def caption_after(cell):
    """The paragraph under a cell where it is a figure's caption."""
    after = cell.next_node(descend=False, siblings=True)
    marked = isinstance(after, nodes.paragraph) and "numbered-caption" in after["classes"]
    return after if marked else None


def write_files(app, exception):
    if exception is not None or app.builder.name != "html":
        return
    folder = Path(app.outdir, FOLDER)
    folder.mkdir(exist_ok=True)
    for page in sorted(app.env.found_docs):
        path = Path(app.env.doc2path(page))
        for place, number, numbers in of_notebook(read(path)) if path.suffix == ".ipynb" else ():
            name = csv_name(page, place, number)
            (folder / name).write_text(as_csv(numbers), encoding="utf-8", newline="")


def setup(app):
    # After images.py, which marks the captions.
    app.connect("doctree-read", put_tables, priority=600)
    app.connect("build-finished", write_files)
