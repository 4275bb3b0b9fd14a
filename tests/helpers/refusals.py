"""Which error a door raises: of the type where that is wrong, else of the value."""


def for_whole(value: object) -> type[Exception]:
    """The error for what should be a whole number in some range."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return ValueError if is_whole else TypeError


def for_number(value: object) -> type[Exception]:
    """The error for what should be a number in some range."""
    return ValueError if isinstance(value, float) else for_whole(value)
