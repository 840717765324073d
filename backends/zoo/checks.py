"""Checks of the values that a layer is drawn with."""

from backends.zoo.node import GraphError


def require(condition, name, complaint, value):
    """Raise a GraphError about a value of the node `name` unless the condition holds."""
    if not condition:
        raise GraphError("%s: %s: %r" % (name, complaint, value))


def is_positive(number):
    """Whether it is an integer of at least 1; a bool is not."""
    return type(number) is int and number > 0


def is_number(value):
    """Whether it is an integer or a float; a bool is not."""
    return type(value) in (int, float)


def units_attributes(name, units, bias):
    """Attributes of `dense` and `per_step`. Raises GraphError."""
    require(is_positive(units), name, "units must be a positive integer", units)
    require(isinstance(bias, bool), name, "bias must be True or False", bias)
    return {"units": units, "bias": bias}
