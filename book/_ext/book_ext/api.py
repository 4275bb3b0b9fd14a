"""Let autodoc read the library from the source tree, without installing it or PyTorch.

PyTorch is mocked while autodoc imports (autodoc_mock_imports), and a mock cannot be part of
`Tensor | None`. So annotations are kept as the text that stands in the source.
"""

import __future__

import re
import sys
from importlib.machinery import PathFinder, SourceFileLoader

from sphinx.ext import autodoc


class TextAnnotations(SourceFileLoader):
    """Compiles as if the module began with `from __future__ import annotations`."""

    def get_code(self, fullname):
        # Compiled anew each time: what is cached on disk must be the module as others see it.
        flags = __future__.annotations.compiler_flag
        return compile(self.get_data(self.path), self.path, "exec", flags, dont_inherit=True)


class LibraryFinder:
    @staticmethod
    def find_spec(fullname, path=None, target=None):
        if fullname.split(".")[0] not in ("resnet_lib", "resnet_checks"):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin:
            spec.loader = TextAnnotations(fullname, spec.origin)
        return spec


SIGNATURE = re.compile(r'<dt class="sig .*?</dt>', re.DOTALL)


def flatten_signatures(app, pagename, templatename, context, doctree):
    """Turn the list inside a long signature to lines; a <dt> may not hold a list."""

    def flat(match):
        lines = re.sub(r"<(/?)dl>", r"<\1span>", match[0])
        return re.sub("</dd>", "</span>", lines.replace("<dd>", '<span class="sig-line">'))

    context["body"] = SIGNATURE.sub(flat, context.get("body", ""))


def skip_fields(app, what, name, obj, skip, options):
    """A named tuple's fields stand in its signature; "Alias for field number 0" tells nothing."""
    is_field = (getattr(obj, "__doc__", "") or "").startswith("Alias for field number")
    return True if is_field else None


def setup(app):
    app.connect("html-page-context", flatten_signatures)
    app.connect("autodoc-skip-member", skip_fields)
    sys.path.insert(0, str(app.srcdir))
    sys.meta_path.insert(0, LibraryFinder)
    # Else a class that stands on a mock shows the mock's arguments, not its own.
    autodoc._CLASS_NEW_BLACKLIST.append("sphinx.ext.autodoc.mock._MockObject.__new__")
