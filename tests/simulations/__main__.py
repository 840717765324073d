"""Prints the tables of docs/measuring.md: `make simulations`."""

from tests.simulations.machines import EVENTS, tell
from tests.simulations.nights import WORLDS, fleet, ramps
from tests.simulations.processes import PROCESSES
from tests.simulations.trials import COUNTS, GROUPS, SPREADS, coverage, heavy, seen


def percent(share):
    return f"{100 * share:.1f} %"


def cell(found):
    withheld = f" ({percent(found.share_withheld)} withheld)" if found.withheld else ""
    return percent(found.share) + withheld


def coverage_rows():
    yield "| step times | " + " | ".join(f"{count} steps" for count in COUNTS) + " |"
    yield "|---" * (len(COUNTS) + 1) + "|"
    for name in PROCESSES:
        cells = [cell(coverage(name, count)) for count in COUNTS]
        yield f"| {name} | " + " | ".join(cells) + " |"


def comparison_rows():
    titles = [f"equal, CV {100 * spread:g} %" for spread in SPREADS]
    titles += ["equal, heavy tails", "5 % faster, CV 1 %"]
    yield f"| runs a side | {' | '.join(titles)} |"
    yield "|---" * (len(SPREADS) + 3) + "|"
    for sides in GROUPS:
        shares = [seen(sides, spread) for spread in SPREADS]
        shares += [seen(sides, 0.01, make=heavy), seen(sides, 0.01, faster=1.05)]
        cells = [percent(share) for share in shares]
        yield f"| {sides[0]} and {sides[1]} | " + " | ".join(cells) + " |"


def night_rows():
    yield "| world | false alarms, % of nights | -2 / -3 / -5 % found the first night | more runs |"
    yield "|---" * 4 + "|"
    for world in WORLDS:
        seen = fleet(world, nights=150)
        found = " / ".join(f"{100 * seen.found_share(shift):.1f}" for shift in seen.found)
        false, extra = percent(seen.false_share), percent(seen.extra_share)
        yield f"| {world.name} | {false} | {found} | {extra} |"


def ramp_rows():
    yield "| -1 % over 14 nights, mean of ten series | found after 14 nights | false advice |"
    yield "|---" * 3 + "|"
    for world in WORLDS:
        found, false = ramps(world, groups=40)
        yield f"| {world.name} | {percent(found)} | {percent(false)} of nights |"


def machine_rows():
    yield "| what happened | all controls slower | series called slower | the machine is blamed |"
    yield "|---" * 4 + "|"
    for name, (machine, framework) in EVENTS.items():
        told = tell(machine=machine, framework=framework, nights=500)
        blamed = percent(told.machine_share) if told.slower else "-"
        yield f"| {name} | {percent(told.out_share)} | {percent(told.slower_share)} | {blamed} |"


def main():
    tables = (coverage_rows(), comparison_rows(), night_rows(), ramp_rows(), machine_rows())
    for rows in tables:
        for row in rows:
            print(row, flush=True)
        print()


if __name__ == "__main__":
    main()
