"""With --nbval, notebooks run as they stand alone; see tests/helpers."""

import pytest
from alone_runs import AloneNotebook
from instruction_sets import hold_down
from nbval.plugin import IPyNbFile

hold_down()


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    found = yield
    return [
        AloneNotebook.from_parent(parent, path=file_path)
        if isinstance(file, IPyNbFile)
        else file
        for file in found
    ]
