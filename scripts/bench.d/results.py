"""What was measured, by name, and how it is told."""

import statistics


class Results:
    """Values by name, in the order in which they were measured."""

    def __init__(self):
        self.values = {}

    def record(self, name, value):
        """Keeps one value of a measurement."""
        self.values.setdefault(name, []).append(float(value))

    def has(self, *names):
        """Whether all of these were measured."""
        return all(name in self.values for name in names)

    def median(self, name):
        """The value in the middle."""
        return statistics.median(self.values[name])

    def ratio(self, name, other):
        """How many times the other it is: the median over the pairs that were measured in turn."""
        pairs = zip(self.values[name], self.values[other])
        if len(self.values[name]) != len(self.values[other]):
            pairs = [(self.median(name), self.median(other))]
        ratios = [left / right for left, right in pairs if right]
        return statistics.median(ratios) if ratios else None


def number(value):
    """As many digits as mean anything."""
    if value is None:
        return "–"
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"
