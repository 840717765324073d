"""Which CPUs the ranks of a run get, each those near its device."""

TYPE_CHECKING = False  # mypy takes it for true; typing has it since Python 3.5.2 only
if TYPE_CHECKING:
    from collections.abc import Sequence

# The CPUs near the device of each rank, as the kernel writes them: "0-9,20-29 10-19,30-39".
VARIABLE = "BENCHDOCK_NEAR_CPUS"
LIST = "[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*"


def numbers(text: str) -> "frozenset[int]":
    """The CPUs of a list as the kernel writes it: 0-3,8."""
    found = set()  # type: set[int]
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def shares(near: "Sequence[frozenset[int]]", cpus: "Sequence[int]") -> "list[list[int]]":
    """Equal shares of CPUs in their order, from those near each rank; none if there is none.

    Ranks near the same CPUs divide them. All get as many as the one that gets the fewest: they
    have equally many threads.
    """
    groups = {place: [cpu for cpu in cpus if cpu in place] for place in near}
    in_groups = [cpu for group in groups.values() for cpu in group]
    each = min(len(groups[place]) // near.count(place) for place in near)
    if not each or len(set(in_groups)) < len(in_groups):
        return []
    found = []
    for place in near:
        found.append(groups[place][:each])
        del groups[place][:each]
    return found
