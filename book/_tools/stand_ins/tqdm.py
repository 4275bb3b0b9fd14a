"""A small stand-in for tqdm's bar, for a notebook on a machine that lacks it: a count."""

import sys


class tqdm:
    def __init__(self, iterable=None, total=None, initial=0, desc="", disable=False, **_):
        self.iterable, self.total, self.n = iterable, total, initial
        self.desc, self.disable = desc, disable

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def __iter__(self):
        for item in self.iterable:
            yield item
            self.update()
        self.close()

    def update(self, n=1):
        self.n += n
        if not self.disable:
            print(f"\r{self.desc or 'done'}: {self.n} of {self.total}", end="", file=sys.stderr)

    def close(self):
        if not self.disable:
            print("\r" + " " * 79, end="\r", file=sys.stderr)
            self.disable = True
