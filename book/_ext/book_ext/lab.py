"""What the lab's page fetches: the runtime from npm, packed; and how much that is, said there."""

import gzip
from pathlib import Path

from book_ext.assets import copy, node_module

PAGE = "book/lab"
MODULE, BINARY = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
PACKED = "ort.wasm.gzip"  # ending in .gz, some servers would have the browser unpack it
NETWORKS = ("digits", "pictures")


def made_folder(app):
    return Path(app.outdir).parent / "generated_static" / "lab"


def put_runtime(app, config):
    source, made = node_module(app.srcdir, "onnxruntime-web") / "dist", made_folder(app)
    copy(source / MODULE, made / "ort.mjs")
    binary, packed = source / BINARY, made / PACKED
    if not packed.exists() or packed.stat().st_mtime < binary.stat().st_mtime:
        # Without a time stamp, so that the same runtime gives the same bytes.
        packed.write_bytes(gzip.compress(binary.read_bytes(), mtime=0))


def megabytes(files):
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"


def say_sizes(app, pagename, templatename, context, doctree):
    if pagename != PAGE:
        return
    lab = Path(app.srcdir, "book", "_static", "lab")
    parts = {name: [lab / f"{name}.onnx", lab / f"{name}.json"] for name in NETWORKS}
    parts["digits"] += [made_folder(app) / name for name in ("ort.mjs", PACKED)]
    for name, files in parts.items():
        context["body"] = context["body"].replace(f"LAB_{name.upper()}_MB", megabytes(files))
    context["book_outputs_made"] = "What this page shows is computed in your browser."


def setup(app):
    app.connect("config-inited", put_runtime)
    # After page_foot.py, which speaks of notebooks.
    app.connect("html-page-context", say_sizes, priority=800)
